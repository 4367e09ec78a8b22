//! An engine under attack: neighbours that go on calling, and what the engine had before.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use speedysvc_tests::harness::{Ended, Engine, Home, Process, install_copy, is_root, wait_for, wait_until};
use speedysvc_tests::test_service::{TestServiceClient, pattern};

/// A deadline that never comes.
const LONG: Duration = Duration::from_secs(60);
/// Calls that each neighbour must make from an attack's begin on.
const PROGRESS: u64 = 30;
/// The user of strangers.
pub const NOBODY: u32 = 65534;

/// As whom an attacker runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    /// As the engine's own user, whom it trusts.
    Ourselves,
    /// As another user, whom `allow` lets in.
    Nobody,
}

impl As {
    /// Both; without root only ourselves, as nobody else may become another user.
    pub fn each() -> Vec<Self> {
        if is_root() { vec![Self::Ourselves, Self::Nobody] } else { vec![Self::Ourselves] }
    }
}

/// What an engine's processes hold: descriptors, and mappings of links.
type Holdings = BTreeMap<u32, (usize, usize)>;

/// See the module's text.
pub struct Siege {
    pub engine: Engine,
    neighbours: Vec<Neighbour>,
    workers: Vec<u32>,
    before: Holdings,
}

impl Siege {
    /// An engine with the test service that lets nobody in, and two neighbours that call all the time.
    pub fn begin(more: &str) -> Self {
        let allow = if is_root() { "allow = { users = [65534] }" } else { "" };
        Self::with(&format!("program = \"test-service\"\n{allow}\n{more}"))
    }

    /// As [`Siege::begin`] with all lines of the service's table.
    pub fn with(table: &str) -> Self {
        let restart = "restart = { backoff = \"10ms..100ms\", limit = \"none\" }";
        let home = Home::new(&format!("[service.test]\n{restart}\n{table}\n"));
        // Others may pass.
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).expect("it is ours");
        let engine = home.start();
        let address = engine.address("test");
        let neighbours = (0..2).map(|number| Neighbour::start(&address, number)).collect();
        let mut siege = Self { engine, neighbours, workers: Vec::new(), before: Holdings::new() };
        siege.wait_for_progress();
        siege.workers = sorted(siege.engine.workers());
        siege.before = siege.settled();
        siege
    }

    /// What is held when nothing comes or goes: the supervisor opens files now and then, and closes them again.
    fn settled(&self) -> Holdings {
        let mut last = Holdings::new();
        wait_until("descriptors that stay", || {
            let now = [(); 3].map(|()| self.holdings());
            let stays = now.iter().all(|seen| *seen == last);
            [last, ..] = now;
            stays.then(|| last.clone())
        })
    }

    fn holdings(&self) -> Holdings {
        let pids = self.engine.workers().into_iter().chain([self.engine.pid()]);
        pids.map(|pid| (pid, holdings_of(pid))).collect()
    }

    /// A program that attacks.
    pub fn attacker(&self, attack: &str, who: As) -> Command {
        let mut command = match who {
            As::Ourselves => self.engine.home().command("hostile"),
            As::Nobody => self.open_to_all(),
        };
        if who == As::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.arg(attack).arg("--socket").arg(self.socket());
        command
    }

    /// The program `hostile` where everybody may run it: the folder that it was built in may be closed to others.
    pub fn open_to_all(&self) -> Command {
        let home = self.engine.home();
        let copy = home.path().join("hostile");
        install_copy("hostile", &copy);
        let (ours, mut theirs) = (home.command("hostile"), Command::new(copy));
        theirs.current_dir("/").envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        theirs
    }

    /// A counter of the service, as its operator reads it; 0 when it is not shown.
    pub fn counter(&self, id: &str) -> u64 {
        let mut command = self.engine.home().command("speedysvc-engine");
        command.args(["ctl", "--run-dir"]).arg(self.engine.run_dir()).args(["stats", "test"]);
        let ended = Ended::of(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let line = ended.out.lines().find(|line| line.trim_start().starts_with(&format!("{id} ")));
        line.map_or(0, |line| line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number"))
    }

    pub fn socket(&self) -> PathBuf {
        self.engine.run_dir().join("default/test.sock")
    }

    /// Starts an attack and waits until it says `word`.
    pub fn attack_until(&self, word: &str, attack: &str, who: As, more: &[&str]) -> Process {
        let mut command = self.attacker(attack, who);
        command.args(more);
        let mut process = Process::start(command);
        process.wait_for_line(word);
        process
    }

    /// An attack from its beginning to its end, which the neighbours survive; gives what it said.
    pub fn withstands(&self, attack: &str, who: As, rounds: u64) -> Fought {
        let fought = self.goes_through(attack, who, &["--rounds", &rounds.to_string()]);
        self.is_as_before();
        fought
    }

    /// The same, for who holds something meanwhile that the engine did not have before.
    pub fn goes_through(&self, attack: &str, who: As, more: &[&str]) -> Fought {
        let mut process = self.attack_until("began", attack, who, more);
        self.wait_for_progress();
        assert_eq!(process.wait(), 0, "{attack} as {who:?}: {:#?} {:#?}", process.out(), process.err());
        process.wait_for_line("done");
        Fought { pid: process.pid(), who, lines: process.out() }
    }

    /// Every neighbour has made some more calls.
    pub fn wait_for_progress(&self) {
        for neighbour in &self.neighbours {
            let goal = neighbour.calls.load(Ordering::Relaxed) + PROGRESS;
            wait_for("the neighbours' calls", || {
                neighbour.thread.is_finished() || neighbour.calls.load(Ordering::Relaxed) >= goal
            });
            assert!(!neighbour.thread.is_finished(), "a neighbour's call failed: see above");
        }
    }

    /// The same processes as at the beginning, and they hold what they held.
    pub fn is_as_before(&self) {
        self.wait_for_progress();
        assert_eq!(sorted(self.engine.workers()), self.workers, "a worker died");
        self.holds_what_it_held();
    }

    pub fn holds_what_it_held(&self) {
        let mut now = Holdings::new();
        let same = speedysvc_tests::harness::look_for(speedysvc_tests::harness::PATIENCE, || {
            now = self.holdings();
            (now == self.before).then_some(())
        });
        assert!(same.is_some(), "descriptors and mappings by process: before {:?}, now {now:?}", self.before);
    }

    /// From now on a new worker is the one whose holdings count.
    pub fn after_a_death(&mut self) {
        self.workers = sorted(self.engine.workers());
        self.wait_for_progress();
        self.before = self.settled();
    }

    /// Waits for a line of the engine's log that has all of these words.
    pub fn said(&self, words: &[&str]) -> String {
        wait_until(&format!("a line with {words:?}"), || {
            self.engine.err().into_iter().find(|line| words.iter().all(|word| line.contains(word)))
        })
    }

    /// Ends the neighbours: none of their calls failed, or was answered wrong. How soon is not looked at here: that no
    /// wake is lost is for `chaos`, and what attacks cost for `hostile-cost`.
    pub fn end(mut self) {
        for neighbour in self.neighbours.drain(..) {
            neighbour.end();
        }
        assert_eq!(self.engine.stop(), 0, "{:#?}", self.engine.err());
    }
}

fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
    pids.sort_unstable();
    pids
}

fn holdings_of(pid: u32) -> (usize, usize) {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    (descriptors, maps.lines().filter(|line| line.contains("memfd:speedysvc")).count())
}

/// An attack that is over.
pub struct Fought {
    pub pid: u32,
    pub who: As,
    pub lines: Vec<String>,
}

impl Fought {
    /// The number behind these words in what it said.
    #[track_caller]
    pub fn number(&self, words: &str) -> u64 {
        let found = self.lines.iter().find_map(|line| line.split_once(words));
        let (_, rest) = found.unwrap_or_else(|| panic!("no `{words}` in {:#?}", self.lines));
        rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok()).unwrap()
    }

    /// How the log names it.
    pub fn name(&self) -> String {
        let uid = if self.who == As::Nobody { NOBODY } else { rustix::process::geteuid().as_raw() };
        format!("pid {} (user {uid})", self.pid)
    }
}

/// Somebody who calls all the time, and checks the answers.
struct Neighbour {
    calls: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Neighbour {
    fn start(address: &str, number: usize) -> Self {
        let client = TestServiceClient::connect(address).expect("the service is there").with_timeout(LONG);
        let (calls, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (Arc::clone(&calls), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let bytes = pattern(50_000);
            while !end.load(Ordering::Relaxed) {
                let round = count.load(Ordering::Relaxed);
                let size = usize::try_from(round % 97).expect("small") * if round % 5 == 0 { 500 } else { 1 };
                let text = format!("{number} {round}");
                assert_eq!(client.echo(&text).unwrap(), text);
                assert!(client.echo_bytes(&bytes[..size]).unwrap() == bytes[..size], "{size} bytes came back changed");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { calls, over, thread }
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("every call of a neighbour was answered right");
    }
}
