//! What a neighbour's calls take beside each attack, against what they take beside a control that burns as much of the
//! processors.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use rustix::process::{Signal, geteuid};

use super::spread::Spread;
use crate::harness::{Engine, Home, Process, install_copy, proc};
use crate::hostile::attacks::Attack;
use crate::test_service::TestServiceClient;

/// Attacks that go on for as long as they are told to, and who does the like and breaks no rule: who may call may have
/// what it calls for, and attach as often as anybody may. Where there is none the control only burns processor time.
const ATTACKS: [(Attack, Option<Attack>); 9] = [
    (Attack::Scribble, Some(Attack::TextCalls)),
    (Attack::Heads, Some(Attack::AllSlots)),
    (Attack::Lies, Some(Attack::Attaches)),
    (Attack::Punch, Some(Attack::Attaches)),
    (Attack::Huge, Some(Attack::OneSlot)),
    (Attack::Descriptors, Some(Attack::Attaches)),
    (Attack::Bells, Some(Attack::LongCalls)),
    (Attack::Ring, Some(Attack::OwnBells)),
    (Attack::Flood, None),
];
const NOBODY: u32 = 65534;
/// How long an attack or control goes on; it is ended before.
const LONGEST: &str = "60000";
const TICKS_A_SECOND: f64 = 100.0;
/// Longer than a user may have to wait for a link.
const DEBT: Duration = Duration::from_millis(150);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which attacks; all when there are none.
    pub attacks: Vec<Attack>,
    /// Rounds of control, attack and control.
    pub rounds: usize,
    /// How long the neighbour calls in each.
    pub span: Duration,
    /// Between the beginnings of two calls.
    pub pause: Duration,
    /// Workers of the service.
    pub workers: usize,
}

/// Measures every attack, and prints a line of a table for each.
///
/// # Panics
/// When a neighbour's call fails: that is no question of cost.
pub fn measure(plan: &Plan) {
    let is_root = geteuid().is_root();
    let allow = if is_root { "allow = { users = [65534] }" } else { "" };
    let home = Home::new(&format!("[service.test]\nprogram = \"test-service\"\nworkers = {}\n{allow}\n", plan.workers));
    fs::set_permissions(home.path(), Permissions::from_mode(0o711)).expect("it is ours");
    let engine = home.start();
    let client = TestServiceClient::connect(&engine.address("test")).expect("the service is there");
    println!("neighbours: {plan:?}; attackers run as {}", if is_root { "nobody" } else { "ourselves" });
    println!(
        "of attack and control each; processor time in hundredths of one processor; limit: what medians of {} spans \
         beside the control are at most, of the median of all of them, 97.5 times of 100",
        plan.rounds
    );
    let columns = ["attack", "control", "their time", "the engine's"];
    let compared = ["p50, µs", "ratio, limit", "within", "p99", "ratio, limit", "within"];
    println!(
        "| {} | {} |\n{}|",
        columns.join(" | "),
        compared.join(" | "),
        "|---".repeat(columns.len() + compared.len())
    );
    let wanted = |attack: Attack| plan.attacks.is_empty() || plan.attacks.contains(&attack);
    for (attack, control) in ATTACKS.into_iter().filter(|(attack, _)| wanted(*attack)) {
        Rounds::of(&engine, &client, attack, control, plan).print(attack, control);
    }
}

/// What a neighbour saw while an attack, or its control, ran.
struct Rounds {
    attacks: Vec<Span>,
    controls: Vec<Span>,
}

impl Rounds {
    /// Control, attack and control, again and again. Beside the control, programs that touch nothing burn what the
    /// attack takes more than it, and the engine more beside the one than beside the other, by the rounds before.
    fn of(engine: &Engine, client: &TestServiceClient, attack: Attack, control: Option<Attack>, plan: &Plan) -> Self {
        let span = |program: Option<Attack>, burnt: &[f64]| span(engine, client, program, burnt, plan);
        // The first ones say what is to be burnt, and do not count.
        let (mut attacks, mut controls) = (vec![span(Some(attack), &[])], vec![span(control, &[])]);
        for _ in 0..plan.rounds {
            for attacks_too in [true, false] {
                let more = |of| (mean_of(&attacks, of) - mean_of(&controls, of)).max(0.0);
                let burnt = more(|span| span.program) + more(|span| span.engine);
                controls.push(span(control, &shares(burnt)));
                if attacks_too {
                    attacks.push(span(Some(attack), &[]));
                }
            }
        }
        Self { attacks: attacks.split_off(1), controls: controls.split_off(1) }
    }

    fn print(&self, attack: Attack, control: Option<Attack>) {
        let name = |attack: Attack| attack.to_possible_value().expect("all have names").get_name().to_owned();
        let time = |of: fn(&Span) -> f64| {
            let [it, control] = [&self.attacks, &self.controls].map(|spans| mean_of(spans, of) * 100.0);
            format!("{it:.0} and {control:.0}")
        };
        let burnt = mean_of(&self.controls, |span| span.burnt) * 100.0;
        let compared = |of: fn(&Span) -> f64| {
            let [it, control] = [&self.attacks, &self.controls].map(|spans| Spread::of(spans.iter().map(of).collect()));
            let (_, high) = control.median_of(self.attacks.len());
            let within = if it.median() <= high { "yes" } else { "NO" };
            let [ratio, limit] = [it.median(), high].map(|median| median / control.median());
            format!("{it} and {control} | {ratio:.2}, {limit:.2} | {within}")
        };
        println!(
            "| {} | {} | {}, burnt {burnt:.0} | {} | {} | {} |",
            name(attack),
            control.map(name).unwrap_or_default(),
            time(|span| span.program),
            time(|span| span.engine),
            compared(|span| span.p50),
            compared(|span| span.p99)
        );
    }
}

fn mean_of(spans: &[Span], of: fn(&Span) -> f64) -> f64 {
    let count = f64::from(u32::try_from(spans.len()).expect("a few rounds"));
    spans.iter().map(of).sum::<f64>() / count
}

/// What each of as few programs as possible burns of a processor, so that all together burn so many. Who has most of a
/// processor never rests: what is missing was had by others.
fn shares(processors: f64) -> Vec<f64> {
    const MOST: f64 = 0.7;
    const LEAST: f64 = 0.01;
    if processors < LEAST {
        return Vec::new();
    }
    let count = (1..10_u8).find(|count| processors <= f64::from(*count)).unwrap_or(10);
    let share = processors / f64::from(count);
    vec![if share > MOST { 1.0 } else { share }; count.into()]
}

/// What a neighbour saw while something else ran, and the processors that each had.
struct Span {
    /// Microseconds.
    p50: f64,
    /// Microseconds.
    p99: f64,
    /// Of the attack, or of who does the like.
    program: f64,
    engine: f64,
    /// Of programs that touch nothing.
    burnt: f64,
}

/// Beside this program, and others that burn so much of a processor each.
fn span(engine: &Engine, client: &TestServiceClient, program: Option<Attack>, burnt: &[f64], plan: &Plan) -> Span {
    // Who has lost its link waits for the next one: not in the time of what comes now.
    std::thread::park_timeout(DEBT);
    let programs: Vec<Process> = program.iter().map(|program| start(engine, *program, 1.0)).collect();
    let burning: Vec<Process> = burnt.iter().map(|share| start(engine, Attack::Spin, *share)).collect();
    let mut others: Vec<Process> = programs.into_iter().chain(burning).collect();
    others.iter_mut().for_each(|other| drop(other.wait_for_line("began")));
    // Attackers of the same folder count as its workers elsewhere.
    let pids: Vec<u32> = others.iter().map(Process::pid).collect();
    let workers: Vec<u32> = engine.workers().into_iter().filter(|pid| !pids.contains(pid)).collect();
    let (programs, burning) = pids.split_at(usize::from(program.is_some()));
    let groups = [programs.to_vec(), [workers, vec![engine.pid()]].concat(), burning.to_vec()];
    let ticks = || groups.each_ref().map(|pids| pids.iter().copied().map(proc::cpu_ticks).sum::<u64>());
    let (begin, before) = (Instant::now(), ticks());
    let micros = Spread::of(call_for(client, plan));
    let (took, after) = (begin.elapsed(), ticks());
    for other in &mut others {
        assert!(!other.has_ended(), "{program:?} ended by itself: {:?}", other.err());
        other.signal(Signal::KILL);
        other.wait();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
    let [program, engine, burnt] =
        [0, 1, 2].map(|group| (after[group] - before[group]) as f64 / TICKS_A_SECOND / took.as_secs_f64());
    Span { p50: micros.median(), p99: micros.percentile(99), program, engine, burnt }
}

fn start(engine: &Engine, program: Attack, share: f64) -> Process {
    let home = engine.home();
    let mut command = home.command("hostile");
    if geteuid().is_root() {
        let copy = home.path().join("hostile");
        if !copy.exists() {
            install_copy("hostile", &copy);
        }
        let mut theirs = Command::new(copy);
        theirs.current_dir("/").envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        theirs.uid(NOBODY).gid(NOBODY);
        command = theirs;
    }
    let name = program.to_possible_value().expect("all have names");
    command
        .arg(name.get_name())
        .arg("--share")
        .arg(share.to_string())
        .arg("--socket")
        .arg(engine.run_dir().join("default/test.sock"));
    command.args(["--for-ms", LONGEST]);
    Process::start(command)
}

/// Microseconds of each call. Calls begin at fixed times, and one that is late counts from when it should have begun.
pub(super) fn call_for(client: &TestServiceClient, plan: &Plan) -> Vec<f64> {
    let begin = Instant::now();
    let mut micros = Vec::new();
    let mut due = Duration::ZERO;
    while due < plan.span {
        if let Some(early) = due.checked_sub(begin.elapsed()) {
            std::thread::park_timeout(early);
            continue;
        }
        assert_eq!(client.echo("neighbour").expect("a neighbour's call does not fail"), "neighbour");
        micros.push((begin.elapsed() - due).as_secs_f64() * 1e6);
        due += plan.pause;
    }
    micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_programs_as_can_burn_it() {
        assert!(shares(0.0).is_empty() && shares(-0.5).is_empty());
        assert_eq!(shares(0.25), [0.25]);
        assert_eq!(shares(1.0), [1.0]);
        assert_eq!(shares(1.25), [0.625, 0.625]);
        assert_eq!(shares(1.5), [1.0, 1.0]);
    }
}
