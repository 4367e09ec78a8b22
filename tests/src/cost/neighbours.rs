//! A neighbour's p99 beside each attack, against its p99 beside a control that burns as much of the processors.

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

/// Attacks that go on for as long as they are told to, and how many processors they keep busy: so many controls run. Of
/// a flood it is its own and that of the worker, which does nothing but what the attacker has called for.
const ATTACKS: [(Attack, usize); 9] = [
    (Attack::Scribble, 2),
    (Attack::Heads, 1),
    (Attack::Lies, 1),
    (Attack::Punch, 1),
    (Attack::Huge, 1),
    (Attack::Descriptors, 1),
    (Attack::Bells, 1),
    (Attack::Ring, 2),
    (Attack::Flood, 2),
];
const NOBODY: u32 = 65534;
/// How long an attack or control goes on; it is ended before.
const LONGEST: &str = "60000";

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
    let wanted = |attack: Attack| plan.attacks.is_empty() || plan.attacks.contains(&attack);
    let attacks: Vec<_> = ATTACKS.into_iter().filter(|(attack, _)| wanted(*attack)).collect();
    let measured: Vec<_> = attacks.iter().map(|attack| rounds(&engine, &client, *attack, plan)).collect();
    for threads in [1, 2] {
        let group = || attacks.iter().zip(&measured).filter(|((_, busy), _)| *busy == threads);
        if group().count() > 0 {
            print_group(threads, plan.rounds, group);
        }
    }
}

/// The lines of all attacks with so many busy threads, against all of their controls.
fn print_group<'a, G>(threads: usize, count: usize, group: impl Fn() -> G)
where
    G: Iterator<Item = (&'a (Attack, usize), &'a Vec<[Span; 3]>)>,
{
    let all = |of: fn(&Span) -> f64| {
        let spans = group().flat_map(|(_, rounds)| rounds.iter().flat_map(|round| [&round[0], &round[2]]));
        Spread::of(spans.map(of).collect())
    };
    let (p50, p99, engine) = (all(|span| span.p50), all(|span| span.p99), all(|span| span.engine).median());
    let (_, high50) = p50.median_of(count);
    let (low, high) = p99.median_of(count);
    let (low, high) = (low / p99.median(), high / p99.median());
    println!(
        "\nagainst {threads} spinning: p50 {p50}, p99 {p99} µs, engine {engine:.0} % of a processor; \
         medians of {count} of these p99 are {low:.2}..{high:.2} of it, of p50 at most {:.2}",
        high50 / p50.median()
    );
    println!(
        "| attack | p50 beside it, µs | of the control's | p99 | of the control's | within | its time | engine's |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((attack, _), rounds) in group() {
        let of = |of: fn(&Span) -> f64| Spread::of(rounds.iter().map(|round| of(&round[1])).collect());
        let (beside50, beside99, busy) = (of(|span| span.p50), of(|span| span.p99), of(|span| span.engine).median());
        let ratio = beside99.median() / p99.median();
        let within = if ratio <= high { "yes" } else { "NO" };
        let of_control = rounds.iter().map(|[a, it, b]| it.ticks / f64::midpoint(a.ticks, b.ticks).max(1.0));
        let cpu = Spread::of(of_control.collect()).median();
        let name = attack.to_possible_value().expect("every attack has a name");
        println!(
            "| {} | {beside50} | {:.2} | {beside99} | {ratio:.2} | {within} | {cpu:.2} | {busy:.0} % |",
            name.get_name(),
            beside50.median() / p50.median()
        );
    }
}

/// Control, attack and control, again and again.
fn rounds(
    engine: &Engine,
    client: &TestServiceClient,
    (attack, threads): (Attack, usize),
    plan: &Plan,
) -> Vec<[Span; 3]> {
    let control = || span(engine, client, Attack::Spin, threads, plan);
    (0..plan.rounds).map(|_| [control(), span(engine, client, attack, 1, plan), control()]).collect()
}

/// What a neighbour saw while something else ran, and the processor time that this had.
struct Span {
    p50: f64,
    p99: f64,
    ticks: f64,
    /// Processor time of the engine's processes, in hundredths of the time.
    engine: f64,
}

fn span(engine: &Engine, client: &TestServiceClient, attack: Attack, count: usize, plan: &Plan) -> Span {
    let mut others: Vec<Process> = (0..count).map(|_| start(engine, attack)).collect();
    others.iter_mut().for_each(|other| drop(other.wait_for_line("began")));
    let ticks = |others: &[Process]| others.iter().map(|other| proc::cpu_ticks(other.pid())).sum::<u64>();
    // Attackers of the same folder count as its workers elsewhere.
    let workers: Vec<u32> =
        engine.workers().into_iter().filter(|pid| others.iter().all(|it| it.pid() != *pid)).collect();
    let engines = || workers.iter().copied().chain([engine.pid()]).map(proc::cpu_ticks).sum::<u64>();
    let (before, begin, engine_before) = (ticks(&others), Instant::now(), engines());
    let micros = Spread::of(call_for(client, plan));
    let (used, took, engine_used) = (ticks(&others) - before, begin.elapsed(), engines() - engine_before);
    for other in &mut others {
        assert!(!other.has_ended(), "{attack:?} ended by itself: {:?}", other.err());
        other.signal(Signal::KILL);
        other.wait();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
    let [ticks, engine] = [used, engine_used].map(|ticks| ticks as f64);
    // A tick is a hundredth of a second.
    Span { p50: micros.median(), p99: micros.percentile(99), ticks, engine: engine / took.as_secs_f64() }
}

fn start(engine: &Engine, attack: Attack) -> Process {
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
    let name = attack.to_possible_value().expect("every attack has a name");
    command.arg(name.get_name()).arg("--socket").arg(engine.run_dir().join("default/test.sock"));
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
