//! The log's page as a browser without script has it: a form that asks for lines, and lines.

use speedysvc_tests::harness::wait_until;

use crate::fixture::Dashboard;

/// Level, origin and text of each line.
fn lines(page: &str) -> Vec<(String, String, String)> {
    let between = |text: &str, begin: &str, end: &str| {
        let rest = text.split_once(begin).map(|(_, rest)| rest).unwrap_or_default();
        rest.split_once(end).map(|(found, _)| found.to_owned()).unwrap_or_default()
    };
    let found = page.split("<p class=\"").skip(1).filter(|line| line.contains("</time>"));
    found
        .map(|line| (between(line, "<b>", "</b>"), between(line, "<i>", "</i>"), between(line, "<span>", "</span>")))
        .collect()
}

#[test]
fn the_log_is_searched_without_script() {
    let dashboard = Dashboard::start("", "workers = 2");
    dashboard.service_when("readiness", |service| service["state"] == "ready");
    let client = dashboard.client();
    let page = |query: &str| dashboard.get(&format!("/logs{query}")).body;
    let mut all = Vec::new();
    for (text, to_stderr) in [("a needle", false), ("hay", true), ("the <b>last</b> needle & thread", true)] {
        client.print(text, to_stderr).expect("it answers");
        // Of two workers' lines the one that is read first comes first.
        let end = text.split(' ').next_back().expect("a word");
        all = wait_until("the line", || {
            let all = lines(&page("?service=test"));
            all.iter().any(|(_, _, text)| text.ends_with(end)).then(|| lines(&page("")))
        });
    }
    assert!(all.iter().any(|(_, origin, text)| origin == "engine" && text.starts_with("ready: ")), "{all:?}");
    let texts = |query: &str| lines(&page(query)).into_iter().map(|(_, _, text)| text).collect::<Vec<_>>();
    let last = "the &#60;b&#62;last&#60;/b&#62; needle &#38; thread";
    assert_eq!(texts("?text=needle"), ["a needle", last]);
    assert_eq!(texts("?service=test&level=warn&text=needle"), [last]);
    assert_eq!(texts("?service=test&level=warn"), ["hay", last]);
    assert_eq!(texts("?text=no+such+line"), [""; 0]);
    let of = |worker: u32| texts(&format!("?service=test&text=needle&worker={worker}"));
    assert_eq!(of(0).len() + of(1).len(), 2);
    assert_eq!(lines(&page("?service=nobody"))[0].1, "dashboard", "it says that there is no such service");
    // What was asked for stands in the form, which needs no script to ask again.
    let asked = page("?service=test&level=warn&text=%22%3E%3Cscript%3E");
    assert!(asked.contains("<form class=\"choices\" method=\"get\"") && asked.contains("<button>Show</button>"));
    assert!(asked.contains("<option value=\"test\" selected>") && asked.contains("<option value=\"warn\" selected>"));
    assert!(asked.contains("name=\"text\" value=\"&#34;&#62;&#60;script&#62;\""), "{asked}");
}
