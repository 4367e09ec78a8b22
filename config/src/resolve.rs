//! From what was written to what is in force: service, else defaults, else the built-in value.

use std::path::{Path, PathBuf};

use crate::problem::{Complaint, Problem, Problems};
use crate::raw::{self, Settings};
use crate::{
    Allow, Config, DEFAULT_DRAIN, DEFAULT_HANG, DEFAULT_KILL, DEFAULT_ORPHAN, DEFAULT_START_TIMEOUT, History, Launch,
    Limits, Listen, Log, NoRunDir, Restart, Service, ServiceName, Surroundings, Web, check, default_run_dir, program,
};

/// Resolves a whole file. `None` only after a mistake was said. `source` is absolute.
pub(crate) fn resolve(
    file: raw::File,
    source: &Path,
    surroundings: &Surroundings,
    problems: &mut Problems,
) -> Option<Config> {
    let folder = source.parent().unwrap_or(Path::new("/"));
    let namespace = file.namespace.clone().unwrap_or_default();
    let run_dir = run_dir(&file, folder, surroundings, problems);
    if let Some(run_dir) = &run_dir {
        check::socket_room(run_dir, &namespace, &file, problems);
    }
    check::addresses(&file.services, problems);
    check::order(&file.services, problems);

    check::dashboard(&file.web, problems);
    let log = log(file.log, folder);
    let web = web(file.web, folder);
    let drain = file.drain.unwrap_or(DEFAULT_DRAIN);
    let mut defaults = file.defaults;
    defaults.drain = defaults.drain.or(Some(drain));
    let resolved = file.services.into_iter().filter_map(|service| {
        let launch = launch(service.launch?, folder, surroundings, problems);
        let settings = service.settings.or(&defaults);
        let insecure = settings.insecure.unwrap_or_default();
        check::count(&service.listen, problems);
        check::loopback(&service.listen, insecure, problems);
        let after = service.after.iter().filter_map(|name| ServiceName::new(&name.value).ok()).collect();
        let listen = service.listen.into_iter().map(|placed| placed.value).collect();
        Some(Service { after, ..in_force(service.name?, launch?, listen, settings, folder) })
    });
    let services = resolved.collect();
    Some(Config { source: source.to_owned(), run_dir: run_dir?, namespace, drain, log, web, services })
}

fn log(written: raw::Log, folder: &Path) -> Log {
    let default = Log::default();
    Log {
        dir: written.dir.map(|dir| folder.join(dir)),
        size: written.size.unwrap_or(default.size),
        age: written.age.unwrap_or(default.age),
        keep: written.keep.unwrap_or(default.keep),
        level: written.level.unwrap_or(default.level),
    }
}

fn web(written: raw::Web, folder: &Path) -> Option<Web> {
    let default = Web::default();
    let is_written = written.listen.is_some();
    let listen = written.listen.map_or(Some(default.listen), |listen| listen.value)?;
    Some(Web {
        listen,
        is_written,
        token_file: written.token_file.map(|path| folder.join(path)),
        hosts: written.hosts,
        history: match written.history {
            None => History::Default,
            Some(None) => History::Forgotten,
            Some(Some(path)) => History::File(folder.join(path)),
        },
        report: written.report.map(|path| folder.join(path)),
    })
}

fn run_dir(file: &raw::File, folder: &Path, surroundings: &Surroundings, problems: &mut Problems) -> Option<PathBuf> {
    let written = file.run_dir.as_ref().map(|path| folder.join(&path.value));
    let run_dir = default_run_dir(
        written.as_deref(),
        surroundings.run_dir_env.as_deref(),
        surroundings.is_root,
        surroundings.xdg_runtime_dir.as_deref(),
    );
    run_dir.map_err(|reason| problems.push(no_run_dir(&reason))).ok()
}

/// Not the file's fault, but the file can help.
fn no_run_dir(reason: &NoRunDir) -> Problem {
    Problem::new(reason.to_string())
        .help("set SPEEDYSVC_RUN_DIR, or add `run_dir = \"/some/folder\"` at the top of the file")
}

fn launch(written: raw::Launch, folder: &Path, surroundings: &Surroundings, problems: &mut Problems) -> Option<Launch> {
    let (program, args) = match written {
        raw::Launch::Builtin(builtin) => return Some(Launch::Builtin(builtin)),
        raw::Launch::Program { program, args } => (program, args),
    };
    let said = |complaint: Complaint| complaint.about(&program.value, program.span.clone());
    match program::find(&program.value, folder, surroundings) {
        Ok(path) => Some(Launch::Program { path, args }),
        Err(complaint) => {
            problems.push(said(complaint));
            None
        }
    }
}

impl Settings {
    /// Fills what was not said here with what was said there, key by key.
    fn or(self, there: &Self) -> Self {
        Self {
            workers: self.workers.or(there.workers),
            scale: self.scale.or(there.scale),
            driver: self.driver.or(there.driver),
            compression: self.compression.or(there.compression),
            backoff: self.backoff.or(there.backoff),
            restart_limit: self.restart_limit.or(there.restart_limit),
            shm_message: self.shm_message.or(there.shm_message),
            tcp_message: self.tcp_message.or(there.tcp_message),
            slots: self.slots.or(there.slots),
            deadline: self.deadline.or(there.deadline),
            spin: self.spin.or(there.spin),
            users: self.users.or_else(|| there.users.clone()),
            groups: self.groups.or_else(|| there.groups.clone()),
            insecure: self.insecure.or(there.insecure),
            trust: self.trust.or(there.trust),
            drain: self.drain.or(there.drain),
            kill: self.kill.or(there.kill),
            hang: self.hang.or(there.hang),
            orphan: self.orphan.or(there.orphan),
            memory: self.memory.or(there.memory),
            process: self.process.or(&there.process),
            start_timeout: self.start_timeout.or(there.start_timeout),
            env: merged(there.env.clone(), self.env),
        }
    }

    fn restart(&self) -> Restart {
        let default = Restart::default();
        let (backoff_min, backoff_max) = self.backoff.unwrap_or((default.backoff_min, default.backoff_max));
        let limit = self.restart_limit.unwrap_or(default.limit);
        Restart { backoff_min, backoff_max, limit }
    }

    fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            shm_message: self.shm_message.unwrap_or(default.shm_message),
            tcp_message: self.tcp_message.unwrap_or(default.tcp_message),
            slots: self.slots.unwrap_or(default.slots),
            deadline: self.deadline.unwrap_or(default.deadline),
        }
    }
}

/// Variables of the service replace those of the same name.
fn merged(mut base: Vec<(String, String)>, own: Vec<(String, String)>) -> Vec<(String, String)> {
    base.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
    base.extend(own);
    base
}

fn in_force(name: ServiceName, launch: Launch, listen: Vec<Listen>, settings: Settings, folder: &Path) -> Service {
    let limits = settings.limits();
    Service {
        name,
        launch,
        listen,
        after: Vec::new(),
        insecure: settings.insecure.unwrap_or_default(),
        workers: settings.workers.unwrap_or_default(),
        scale: settings.scale.in_force(settings.workers.unwrap_or_default()),
        driver: settings.driver.unwrap_or_default(),
        compression: settings.compression.unwrap_or_default(),
        restart: settings.restart(),
        limits,
        spin: settings.spin.unwrap_or_default(),
        trust: settings.trust.unwrap_or_default(),
        drain: settings.drain.unwrap_or(DEFAULT_DRAIN),
        kill: settings.kill.unwrap_or(DEFAULT_KILL),
        hang: settings.hang.unwrap_or(Some(DEFAULT_HANG.max(limits.deadline.saturating_mul(2)))),
        orphan: settings.orphan.unwrap_or(DEFAULT_ORPHAN),
        memory: settings.memory.flatten(),
        process: settings.process.in_force(folder),
        start_timeout: settings.start_timeout.unwrap_or(DEFAULT_START_TIMEOUT),
        allow: Allow { users: settings.users.unwrap_or_default(), groups: settings.groups.unwrap_or_default() },
        env: settings.env,
    }
}
