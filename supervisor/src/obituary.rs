//! How a worker ended, in one sentence.

use speedysvc_broker::Burial;

use crate::lines::plain;
use crate::policy::count;

/// `(pid 1234) was killed by signal 9 (SIGKILL) while it ran `echo`; 5 calls were told "unknown"`.
pub(crate) fn obituary(pid: i32, how: &str, burial: &Burial) -> String {
    let mut text = format!("(pid {pid}) {how}");
    if let Some(method) = &burial.last_method {
        text.push_str(&format!(" while it ran `{}`", plain(method)));
    }
    if burial.unknown > 0 {
        let was = if burial.unknown == 1 { "was" } else { "were" };
        text.push_str(&format!("; {} {was} told \"unknown\"", count(burial.unknown, "call")));
        if let Some(first) = burial.callers.first() {
            let others = burial.callers.len() - 1;
            let more = if others > 0 { format!(" and {}", count(others, "other client")) } else { String::new() };
            text.push_str(&format!(", of {first}{more}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_broker::Peer;

    #[test]
    fn obituaries_read_well() {
        let peer = |pid| Peer { pid, uid: 65534 };
        let burial = |unknown, method: Option<&str>| Burial {
            unknown,
            last_method: method.map(str::to_owned),
            callers: Vec::new(),
        };
        let killed = "was killed by signal 9 (SIGKILL)";
        assert_eq!(
            obituary(1234, killed, &burial(5, Some("echo"))),
            "(pid 1234) was killed by signal 9 (SIGKILL) while it ran `echo`; 5 calls were told \"unknown\""
        );
        assert_eq!(obituary(7, "exited with status 1", &burial(0, None)), "(pid 7) exited with status 1");
        assert!(obituary(7, killed, &burial(1, None)).ends_with("; 1 call was told \"unknown\""));
        let of = |callers| obituary(7, killed, &Burial { callers, ..burial(2, None) });
        assert!(of(vec![peer(8)]).ends_with("told \"unknown\", of pid 8 (user 65534)"));
        assert!(of(vec![peer(8), peer(9)]).ends_with(", of pid 8 (user 65534) and 1 other client"));
    }
}
