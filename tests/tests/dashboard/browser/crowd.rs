//! Fifty services and five hundred methods.

use speedysvc_tests::harness::{Home, wait_for};
use speedysvc_tests::test_service::TestServiceClient;

use super::looks::settle;
use super::turn::browse;
use crate::fixture::{Dashboard, LONG};

const SERVICES: usize = 50;
/// Of each service, by [`call_ten`].
const METHODS: usize = 10;
/// Methods that the overview shows.
const SHOWN: usize = 15;
/// Most bytes of a page, as it comes.
const PAGE_MAX: usize = 512 << 10;

fn name(number: usize) -> String {
    format!("service-with-a-name-{number:02}")
}

fn call_ten(client: &TestServiceClient) {
    client.echo("x").expect("it answers");
    client.echo_bytes(b"x").expect("it answers");
    client.pid().expect("it answers");
    client.steady("x").expect("it answers");
    client.sleep_ms(0).expect("it answers");
    client.big(5000).expect("it answers");
    client.linger("").expect("it answers");
    client.print("a line", false).expect("it answers");
    client.log("a line").expect("it answers");
    client.fail("on purpose").expect_err("it fails");
}

#[test]
fn fifty_services_and_five_hundred_methods_are_readable() {
    browse(|browser| {
        let service = |number| format!("[service.{}]\nprogram = \"test-service\"\n", name(number));
        let services: String = (0..SERVICES).map(service).collect();
        let dashboard = Dashboard::of(&Home::new(&format!("[web]\nlisten = \"127.0.0.1:0\"\n{services}")));
        for number in 0..SERVICES {
            let client = TestServiceClient::connect(&dashboard.engine.address(&name(number))).expect("it is ready");
            call_ten(&client.with_timeout(LONG));
        }
        let known = || dashboard.get("/latency").body.matches("<option value=\"service-with").count();
        wait_for("all methods, and each service as a whole", || known() == SERVICES * (METHODS + 1));
        for (width, dark) in [(1440, false), (390, true)] {
            browser.set(width, 900, dark);
            for (page, path) in [
                ("overview", "/".to_owned()),
                ("service", format!("/services/{}", name(0))),
                ("latency", "/latency".to_owned()),
                ("loops", "/loops".to_owned()),
                ("clients", "/clients".to_owned()),
                ("log", "/logs".to_owned()),
                ("configuration", "/config".to_owned()),
            ] {
                let bytes = dashboard.get(&path).body.len();
                assert!(bytes < PAGE_MAX, "{page} has {bytes} bytes");
                browser.open(&format!("http://{}{path}", dashboard.address));
                settle(browser);
                browser.picture(&format!("fifty-{page}-{width}"));
                assert_eq!(browser.overhang(), 0, "{page}");
                assert_eq!(browser.complaints(), Vec::<String>::new(), "{page}");
            }
        }
        browser.open(&format!("http://{}/", dashboard.address));
        browser.wait_for("Number(document.querySelector('main').dataset.updates) > 2");
        let rows = |table: &str| browser.value(&format!("document.querySelectorAll('#{table} tbody tr').length"));
        assert_eq!((rows("services"), rows("methods")), (SERVICES.into(), SHOWN.into()));
        assert!(browser.text("document.querySelector('[data-part=methods] h2').textContent").contains("of 500"));
    });
}
