//! One section of a `service.ini` as one `[service.NAME]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::quoted;
use super::seed::{Section, Seed, count, truth};
use crate::{ByteSize, MEMORY, ServiceName, WorkerCount};

/// A section, translated.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) toml: String,
    pub(super) remarks: Vec<String>,
    /// Services behind it in the file wait for it.
    pub(super) is_awaited: bool,
}

struct Writer<'a> {
    seed: &'a Seed,
    section: &'a Section,
    lines: Vec<String>,
    remarks: Vec<String>,
}

/// Translates a section. `awaited` are the services before it for which the Python project would have waited.
pub(super) fn translate(section: &Section, seed: &Seed, awaited: &[String]) -> Made {
    let name = service_name(&section.name);
    let mut to = Writer { seed, section, lines: Vec::new(), remarks: Vec::new() };
    to.program(&name);
    to.listen();
    let workers = to.workers();
    to.memory(workers);
    to.serialisation();
    if !awaited.is_empty() {
        let names: Vec<String> = awaited.iter().map(|name| quoted(name)).collect();
        to.lines.push(format!("after = [{}]", names.join(", ")));
    }
    let is_awaited = to.flag("wait_until_completed");
    let unknown: Vec<String> = seed.unknown(section).map(str::to_owned).collect();
    for key in unknown {
        to.remark(&key, "the Python project knew no such key, and would not have started");
    }
    let toml = format!("\n[service.{name}]\n{}\n", to.lines.join("\n"));
    Made { name, toml, remarks: to.remarks, is_awaited }
}

impl Writer<'_> {
    fn value(&self, key: &str) -> Option<String> {
        self.seed.value(self.section, key).map(str::to_owned)
    }

    /// Told to whoever imports, and written into the file above the line that comes next.
    fn remark(&mut self, key: &str, what: impl AsRef<str>) {
        let what = what.as_ref();
        self.remarks.push(format!("[{}] {key}: {what}", self.section.name));
        self.lines.push(format!("# {key}: {what}"));
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(text) = self.value(key) else { return false };
        truth(&text).unwrap_or_else(|| {
            self.remark(key, format!("{text:?} is not true, false, 0 or 1, and is left out"));
            false
        })
    }

    fn count(&mut self, key: &str) -> Option<u64> {
        let text = self.value(key)?;
        let count = count(&text);
        if count.is_none() {
            self.remark(key, format!("{text:?} is not a whole number above 0, and is left out"));
        }
        count
    }

    fn program(&mut self, name: &str) {
        let class = self.section.name.clone();
        match self.value("import_from") {
            Some(module) => self.remark(
                "import_from",
                format!(
                    "there is no Python here: build a program whose `main` is `speedysvc::serve(...)` from class \
                     {class} of module {module}, and name it below; clients say shm://{name}"
                ),
            ),
            None => self.remark("import_from", "it is missing, and the Python project needed it: name a program below"),
        }
        self.lines.push(format!("program = {}", quoted(&format!("{name}-service"))));
    }

    fn listen(&mut self) {
        let bind = ["tcp_bind", "bind_tcp"].into_iter().find_map(|key| Some((key, self.value(key)?)));
        let Some((key, written)) = bind else { return };
        let Some((ip, port)) = address(&written) else {
            let what = format!("{written:?} is not a numeric address: write `listen = [\"tcp://ADDRESS:PORT\"]`");
            return self.remark(key, what);
        };
        if port.is_none() {
            let class = &self.section.name;
            let what = format!(
                "the port was the attribute `port` of class {class}: write it below in place of 0, which takes any \
                 free one"
            );
            self.remark(key, what);
        }
        if !ip.is_loopback() {
            let what = "other machines reach this address, and there is no TLS and no token: say so with `insecure`";
            self.remark(key, what);
            self.lines.push("insecure = true".to_owned());
        }
        let address = SocketAddr::new(ip, port.unwrap_or(0));
        self.lines.push(format!("listen = [{}]", quoted(&format!("tcp://{address}"))));
    }

    /// The most that there will be.
    fn workers(&mut self) -> u64 {
        let (min, max) = (self.count("min_proc_num"), self.count("max_proc_num"));
        if min.is_none() && max.is_none() {
            return 1;
        }
        let min = self.at_most_all("min_proc_num", min.unwrap_or(1));
        let max = self.at_most_all("max_proc_num", max.unwrap_or(min));
        if max < min {
            let what = format!("less than min_proc_num, which is {min}: so many workers always");
            self.remark("max_proc_num", what);
        }
        self.lines.push(match max > min {
            // The Python project's rule, with its numbers.
            true => format!("workers = {{ min = {min}, max = {max}, rule = \"cpu\" }}"),
            false => format!("workers = {min}"),
        });
        max.max(min)
    }

    fn at_most_all(&mut self, key: &str, count: u64) -> u64 {
        let most = u64::from(WorkerCount::MAX);
        if count > most {
            self.remark(key, format!("a service has at most {most} workers here, not {count}"));
        }
        count.min(most)
    }

    /// There for all workers together, here for each.
    fn memory(&mut self, workers: u64) {
        let Some(bytes) = self.count("max_proc_mem_bytes") else { return };
        let whole = |bytes: u64| ByteSize::kib(bytes >> 10);
        let share = whole(bytes / workers).clamp(*MEMORY.start(), *MEMORY.end());
        if share.bytes().saturating_mul(workers) != bytes {
            let what = format!("{bytes} bytes for all workers together are about {share} for each, in whole KiB");
            self.remark("max_proc_mem_bytes", what);
        } else if workers > 1 {
            let what = format!("{bytes} bytes were for all workers together: each of {workers} gets its share");
            self.remark("max_proc_mem_bytes", what);
        }
        self.lines.push(format!("memory = {}", quoted(&share.to_string())));
    }

    fn serialisation(&mut self) {
        if let Some(which) = self.value("tcp_compression") {
            self.remark("tcp_compression", format!("{which}: client and service agree on compression by themselves"));
        }
        if self.flag("tcp_allow_insecure_serialisation") {
            let what = "pickle and marshal are refused here, whatever a file says: reading them runs what a sender \
                        wrote; use rkyv, json, msgpack or raw";
            self.remark("tcp_allow_insecure_serialisation", what);
        }
    }
}

/// `EchoServer` as `echo-server`.
fn service_name(class: &str) -> String {
    let mut name = String::new();
    let mut before_is_small = false;
    for c in class.chars() {
        if c.is_ascii_uppercase() && before_is_small {
            name.push('-');
        }
        before_is_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            '_' => name.push('_'),
            _ => name.push('-'),
        }
    }
    let starts = name.find(|c: char| c.is_ascii_lowercase()).unwrap_or(name.len());
    name.drain(..starts);
    name.truncate(ServiceName::MAX_LEN);
    ServiceName::new(&name).map_or_else(|_| "service".to_owned(), |_| name)
}

/// `127.0.0.1`, `localhost`, `::1`, with a port or without.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let ip = |text: &str| match text {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        other => other.trim_matches(['[', ']']).parse().ok(),
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip(), Some(address.port())));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => Some((ip(host)?, Some(port.parse().ok()?))),
        _ => Some((ip(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_names() {
        for (class, name) in [
            ("EchoServer", "echo-server"),
            ("HTTPServer2", "httpserver2"),
            ("A", "a"),
            ("_Under_Score", "under_score"),
            ("Größe", "gr--e"),
            ("9", "service"),
            (&"Long".repeat(20), &"long-".repeat(20)[..48]),
        ] {
            assert_eq!(service_name(class), name);
        }
    }

    #[test]
    fn addresses_have_a_port_or_not() {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(address("127.0.0.1"), Some((local, None)));
        assert_eq!(address("localhost:80"), Some((local, Some(80))));
        assert_eq!(address("::1"), Some(("::1".parse().unwrap(), None)));
        assert_eq!(address("[::1]:7"), Some(("::1".parse().unwrap(), Some(7))));
        assert_eq!(address("[::1]"), Some(("::1".parse().unwrap(), None)));
        for nonsense in ["", "host", "1.2.3", "127.0.0.1:x", "127.0.0.1:70000", ":80"] {
            assert_eq!(address(nonsense), None, "{nonsense}");
        }
    }
}
