//! What must be known of a machine before its figures mean anything.

use std::fs::{self, File};
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::measure::clock;

/// Facts by name, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Pairs of name and value.
    pub(crate) facts: Vec<(String, String)>,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn here() -> Self {
        let system = rustix::system::uname();
        let cpuinfo = read("/proc/cpuinfo");
        let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let facts = [
            ("processor", field(&cpuinfo, "model name")),
            ("processors", count.to_string()),
            ("threads of processor 0's core", first_line("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")),
            ("virtual", virtual_machine(&cpuinfo)),
            ("kernel", format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())),
            ("preemption", preemption(&system.version().to_string_lossy())),
            ("clock", format!("{}, {}", first_line(CLOCK_SOURCE), counter())),
            ("frequency governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            ("idle", idle()),
            ("memory", field(&read("/proc/meminfo"), "MemTotal")),
            ("load", first_line("/proc/loadavg")),
        ];
        Self { facts: facts.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    /// One line a fact.
    pub(crate) fn text(&self) -> String {
        self.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }
}

const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const LATENCY: &str = "/dev/cpu_dma_latency";

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn first_line(path: &str) -> String {
    let text = read(path);
    text.lines().next().map_or("not said".into(), |line| line.trim().to_owned())
}

/// The value behind `name:` in a list.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.map_or("not said".into(), |value| value.trim().to_owned())
}

fn virtual_machine(cpuinfo: &str) -> String {
    let flags = field(cpuinfo, "flags");
    let is_virtual = flags.split_whitespace().any(|flag| flag == "hypervisor");
    (if is_virtual { "yes: its processors may move between cores of the host" } else { "no hypervisor is seen" }).into()
}

fn preemption(version: &str) -> String {
    let words = version.split_whitespace().filter(|word| word.starts_with("PREEMPT"));
    let words: Vec<&str> = words.collect();
    if words.is_empty() { "none that the kernel's version says".into() } else { words.join(" ") }
}

fn counter() -> &'static str {
    if clock::has_invariant_tsc() {
        "rows are timed by the processor's invariant counter"
    } else {
        "rows are timed by it"
    }
}

fn idle() -> String {
    let governor = first_line("/sys/devices/system/cpu/cpuidle/current_governor");
    let driver = first_line("/sys/devices/system/cpu/cpuidle/current_driver");
    let held = match latency_limit() {
        Ok(0) => "idle processors poll".into(),
        Ok(micros) => format!("idle processors may halt; latency limit {micros} us"),
        Err(error) => format!("whether idle processors halt is not known: {LATENCY}: {error}"),
    };
    format!("governor {governor}, driver {driver}; {held}")
}

/// The most microseconds that a wake may take, as everybody together has asked of the kernel.
fn latency_limit() -> io::Result<i32> {
    let mut bytes = [0; 4];
    File::open(LATENCY)?.read_exact(&mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}

/// While it lives, idle processors poll instead of halting. The kernel takes it back when we end, however that happens.
pub(crate) struct IdlePolling(#[expect(dead_code, reason = "it works by being open")] File);

impl IdlePolling {
    /// Asks the kernel; root only.
    pub(crate) fn hold() -> io::Result<Self> {
        let mut file = File::options().write(true).open(LATENCY)?;
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_behind_colons() {
        assert_eq!(field("model\t: 1\nmodel name\t: EPYC  9\n", "model name"), "EPYC  9");
        assert_eq!(field("", "model name"), "not said");
    }

    #[test]
    fn preemption_is_in_the_version() {
        assert_eq!(preemption("#1 SMP PREEMPT_DYNAMIC Thu"), "PREEMPT_DYNAMIC");
        assert!(preemption("#1 SMP Thu").starts_with("none"));
    }

    #[test]
    fn a_machine_has_processors() {
        let facts = Machine::here().facts;
        assert!(facts.iter().any(|(name, value)| name == "processors" && value != "0"), "{facts:?}");
    }
}
