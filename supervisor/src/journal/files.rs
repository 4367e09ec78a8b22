//! JSON lines on disk: `engine.log` with everything, `NAME.log` for each service. Files of some size or age are put
//! aside as `NAME.log.1`, `.2` and so on. A thread of its own writes: a disk that is slow or full costs lines, which
//! are counted, and nobody waits for it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use speedysvc_config::Log;
use speedysvc_protocol::control::operator::LogLine;

/// Most lines that wait to be written.
const QUEUE: usize = 16 * 1024;
/// The file with everything. No service has this name's file: it would be `engine.log`, too, so it gets a dash.
const ALL: &str = "engine";

/// The way to the thread that writes.
pub(crate) struct Files {
    queue: Option<SyncSender<LogLine>>,
    writer: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl Files {
    /// Makes the folder and the first file.
    pub(crate) fn open(settings: &Log, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let dir = settings.dir.clone().unwrap_or_default();
        DirBuilder::new().recursive(true).mode(0o750).create(&dir)?;
        let mut folder = Folder { dir, settings: settings.clone(), open: HashMap::new() };
        folder.file(ALL)?;
        let (queue, lines) = sync_channel(QUEUE);
        let writer_lost = Arc::clone(&lost);
        let write = move || folder.write_all(&lines, &writer_lost);
        let writer = thread::Builder::new().name("speedysvc-log".to_owned()).spawn(write)?;
        Ok(Self { queue: Some(queue), writer: Some(writer), lost })
    }

    /// Never waits.
    pub(crate) fn write(&self, line: &LogLine) {
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(line.clone()).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Files {
    /// What was said is written. A disk that hangs is the kernel's to end: its wait cannot be broken off.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // Its panic would be told by its own message.
            writer.join().ok();
        }
    }
}

/// The folder, and the files that are open.
struct Folder {
    dir: PathBuf,
    settings: Log,
    open: HashMap<String, Opened>,
}

struct Opened {
    file: File,
    path: PathBuf,
    size: u64,
    begun: SystemTime,
}

impl Folder {
    fn write_all(&mut self, lines: &Receiver<LogLine>, lost: &AtomicU64) {
        for line in lines {
            let Ok(mut text) = serde_json::to_vec(&line) else { continue };
            text.push(b'\n');
            let names = [Some(ALL.to_owned()), line.whose().map(file_name)];
            // A line counts as lost once, however many files it is missing in.
            let failed = names.into_iter().flatten().filter(|name| self.write(name, &text).is_err()).count();
            if failed > 0 {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn write(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        let (size_max, age_max, keep) = (self.settings.size.bytes(), self.settings.age, self.settings.keep);
        let opened = self.file(name)?;
        let age = SystemTime::now().duration_since(opened.begun).unwrap_or(Duration::ZERO);
        let is_full = opened.size > 0 && opened.size.saturating_add(text.len() as u64) > size_max;
        if is_full || opened.size > 0 && age > age_max {
            put_aside(&opened.path, keep)?;
            self.open.remove(name);
        }
        let written = self.file(name)?.write(text);
        if written.is_err() {
            // The next line looks for the file anew: the folder may have been emptied or mounted over.
            self.open.remove(name);
        }
        written
    }

    fn file(&mut self, name: &str) -> io::Result<&mut Opened> {
        if !self.open.contains_key(name) {
            let path = self.dir.join(format!("{name}.log"));
            let file = File::options().append(true).create(true).mode(0o640).open(&path)?;
            let about = file.metadata()?;
            let begun = about.created().or_else(|_| about.modified()).unwrap_or_else(|_| SystemTime::now());
            self.open.insert(name.to_owned(), Opened { file, path, size: about.len(), begun });
        }
        Ok(self.open.get_mut(name).expect("it is there, or was just put there"))
    }
}

impl Opened {
    /// A whole line, or none of it.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text);
        match &written {
            Ok(()) => self.size += text.len() as u64,
            // What was written of it before the disk was full.
            Err(_) => self.file.set_len(self.size)?,
        }
        written
    }
}

fn file_name(service: &str) -> String {
    if service == ALL { format!("{service}-service") } else { service.to_owned() }
}

/// `NAME.log` becomes `NAME.log.1`, that one `.2`, and the oldest goes.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
    let present = (1..=keep).take_while(|number| numbered(*number).exists()).last().unwrap_or(0);
    for number in (1..=present).rev() {
        if number == keep {
            fs::remove_file(numbered(number))?;
        } else {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_config::ByteSize;
    use speedysvc_protocol::control::operator::Level;

    fn line(text: &str) -> LogLine {
        let (service, target) = (Some("echo".to_owned()), "stdout".to_owned());
        LogLine {
            time_us: 1,
            level: Level::Info,
            service,
            worker: Some(0),
            about: None,
            target,
            call: None,
            trace: None,
            text: text.to_owned(),
            cut: false,
        }
    }

    fn settings(dir: &Path) -> Log {
        Log { dir: Some(dir.join("log")), size: ByteSize::from_bytes(400), keep: 2, ..Log::default() }
    }

    fn texts(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<LogLine>(line).unwrap().text).collect()
    }

    #[test]
    fn lines_are_in_both_files_and_old_ones_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let lost = Arc::default();
        let files = Files::open(&settings(folder.path()), Arc::clone(&lost)).unwrap();
        (0..20).for_each(|number| files.write(&line(&format!("{number} {}", "x".repeat(80)))));
        drop(files);
        let log = folder.path().join("log");
        let mut names: Vec<_> = fs::read_dir(&log).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["echo.log", "echo.log.1", "echo.log.2", "engine.log", "engine.log.1", "engine.log.2"]);
        let all: Vec<String> =
            ["echo.log.2", "echo.log.1", "echo.log"].iter().flat_map(|n| texts(&log.join(n))).collect();
        assert_eq!(all.last().unwrap().split(' ').next(), Some("19"));
        assert!(all.len() >= 5 && all.is_sorted_by_key(|text| text.split(' ').next().unwrap().parse::<u32>().unwrap()));
        assert!(names.iter().all(|name| fs::metadata(log.join(name)).unwrap().len() <= 400));
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn age_puts_files_aside_too() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Log { size: ByteSize::mib(1), age: Duration::ZERO, ..settings(folder.path()) };
        let files = Files::open(&settings, Arc::default()).unwrap();
        files.write(&line("old"));
        files.write(&line("new"));
        drop(files);
        assert_eq!(texts(&folder.path().join("log/echo.log.1")), ["old"]);
    }

    /// Row D11: a file that seems to be of next year is not old; one that seems to be of last year is, once.
    #[test]
    fn a_clock_that_jumps_puts_one_file_aside_at_most() {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let dir = tempfile::tempdir().unwrap();
        let settings = Log { size: ByteSize::mib(1), age: Duration::from_secs(60 * 60), ..settings(dir.path()) };
        let mut folder = Folder { dir: dir.path().to_owned(), settings, open: HashMap::new() };
        let files = || fs::read_dir(dir.path()).unwrap().count();
        folder.write("echo", b"{}\n").unwrap();
        for (begun, count) in [(SystemTime::now() + YEAR, 1), (SystemTime::now() - YEAR, 2)] {
            folder.file("echo").unwrap().begun = begun;
            (0..3).for_each(|_| folder.write("echo", b"{}\n").unwrap());
            assert_eq!(files(), count);
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_writing_goes_on_later() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::create_dir(&log).unwrap();
        // A disk that is always full.
        std::os::unix::fs::symlink("/dev/full", log.join("engine.log")).unwrap();
        let lost = Arc::default();
        let files = Files::open(&settings(folder.path()), Arc::clone(&lost)).unwrap();
        (0..3).for_each(|_| files.write(&line("lost in one of two")));
        drop(files);
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        assert_eq!(texts(&log.join("echo.log")).len(), 3);
        fs::remove_file(log.join("engine.log")).unwrap();
        let files = Files::open(&settings(folder.path()), Arc::clone(&lost)).unwrap();
        files.write(&line("again"));
        drop(files);
        assert_eq!((texts(&log.join("engine.log")), lost.load(Ordering::Relaxed)), (vec!["again".to_owned()], 3));
    }
}
