//! What is different between the file in force and the one that is there now. A pure function: what can be refused is
//! refused before anything is touched.

use std::fmt::Debug;
use std::time::Duration;

use speedysvc_config::{ByteSize, Config, Launch, Listen, Log, Process, Service};

use crate::policy::show;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new service.
    Add(Service),
    /// A service that is not there any more.
    Remove(String),
    /// Its workers must be replaced.
    Renew(Service),
    /// Its workers may stay.
    Adjust(Service),
    /// The log.
    Log(Log),
    /// The dashboard, which stays as it is.
    Web,
}

/// Every difference, with a sentence for each; or why the file cannot be applied to a running engine.
pub(crate) fn differences(old: &Config, new: &Config) -> Result<Vec<(Change, String)>, String> {
    if old.run_dir != new.run_dir || old.namespace != new.namespace {
        let why = "`run_dir` and `namespace` cannot change while the engine runs: stop it, and start it again";
        return Err(why.to_owned());
    }
    let mut changes = Vec::new();
    for service in &new.services {
        match old.services.iter().find(|old| old.name == service.name) {
            None => changes.push((Change::Add(service.clone()), format!("{}: new, to be started", service.name))),
            Some(old) => changes.extend(difference(old, service)),
        }
    }
    let is_gone = |old: &&Service| new.services.iter().all(|service| service.name != old.name);
    changes.extend(old.services.iter().filter(is_gone).map(|old| {
        let name = old.name.to_string();
        let sentence = format!("{name}: not in the file any more, to be stopped");
        (Change::Remove(name), sentence)
    }));
    if old.log != new.log {
        changes.push((Change::Log(new.log.clone()), format!("log: {}", log_difference(&old.log, &new.log))));
    }
    if old.web != new.web {
        changes.push((Change::Web, "web: different, from the next start of the engine on".to_owned()));
    }
    Ok(changes)
}

fn difference(old: &Service, new: &Service) -> Option<(Change, String)> {
    if old == new {
        return None;
    }
    let renewing = renewing(old, new);
    let all: Vec<String> = renewing.iter().cloned().chain(adjusting(old, new)).collect();
    let (change, end): (fn(Service) -> Change, _) = match renewing.is_empty() {
        true => (Change::Adjust, "workers stay"),
        false => (Change::Renew, "workers are replaced one by one"),
    };
    Some((change(new.clone()), format!("{}: {}; {end}", new.name, all.join(", "))))
}

/// Differences that a running worker cannot take over.
fn renewing(old: &Service, new: &Service) -> Vec<String> {
    let mut found = Vec::new();
    if old.launch != new.launch {
        found.push(changed("program", &launch(&old.launch), &launch(&new.launch)));
    }
    found.extend(differs("listen", &old.listen, &new.listen));
    found.extend(differs("insecure", &old.insecure, &new.insecure));
    // Workers ask who connects to a Unix socket.
    if new.listen.iter().any(|address| matches!(address, Listen::Unix(_))) {
        found.extend(differs("allow", &old.allow, &new.allow).map(|_| "allow".to_owned()));
    }
    found.extend(differs("driver", &old.driver, &new.driver));
    found.extend(differs("compression", &old.compression, &new.compression));
    found.extend(differs("limits", &old.limits, &new.limits).map(|_| "limits".to_owned()));
    found.extend(differs("spin", &old.spin.get(), &new.spin.get()));
    // Workers know it from their start.
    if old.orphan != new.orphan {
        found.push(changed("orphan", &show(old.orphan), &show(new.orphan)));
    }
    found.extend(differs("process", &old.process, &new.process).map(|_| process(&old.process, &new.process)));
    // Values may be secrets.
    found.extend(differs("env", &old.env, &new.env).map(|_| "env".to_owned()));
    found
}

/// Differences that concern the supervisor alone.
fn adjusting(old: &Service, new: &Service) -> Vec<String> {
    let time = |key, old, new| (old != new).then(|| changed(key, &show(old), &show(new)));
    let patience = |hang: Option<Duration>| hang.map_or("none".to_owned(), show);
    let found = [
        differs("workers", &old.workers.get(), &new.workers.get()),
        differs("memory", &old.memory, &new.memory).map(|_| changed("memory", &size(old.memory), &size(new.memory))),
        differs("scale", &old.scale, &new.scale).map(|_| "scaling".to_owned()),
        differs("restart", &old.restart, &new.restart).map(|_| "restart".to_owned()),
        differs("allow", &old.allow, &new.allow).map(|_| "allow".to_owned()),
        differs("after", &old.after, &new.after).map(|_| "after".to_owned()),
        time("drain", old.drain, new.drain),
        time("kill", old.kill, new.kill),
        time("start_timeout", old.start_timeout, new.start_timeout),
        (old.hang != new.hang).then(|| changed("hang", &patience(old.hang), &patience(new.hang))),
    ];
    found.into_iter().flatten().collect()
}

fn size(limit: Option<ByteSize>) -> String {
    limit.map_or("none".to_owned(), |limit| limit.to_string())
}

fn differs<T: PartialEq + Debug>(key: &str, old: &T, new: &T) -> Option<String> {
    (old != new).then(|| changed(key, &format!("{old:?}"), &format!("{new:?}")))
}

fn changed(key: &str, old: &str, new: &str) -> String {
    format!("{key} from {old} to {new}")
}

fn launch(launch: &Launch) -> String {
    match launch {
        Launch::Builtin(builtin) => format!("builtin {}", builtin.as_str()),
        Launch::Program { path, args } => [&[path.display().to_string()][..], args].concat().join(" "),
    }
}

/// The keys that are different.
fn process(old: &Process, new: &Process) -> String {
    let keys = [
        (old.run_as != new.run_as, "run_as"),
        (old.umask != new.umask, "umask"),
        (old.rlimits != new.rlimits, "rlimits"),
        (old.working_dir != new.working_dir, "working_dir"),
        (old.cpus != new.cpus, "cpus"),
    ];
    keys.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| key).collect::<Vec<_>>().join(", ")
}

fn log_difference(old: &Log, new: &Log) -> String {
    let place = |log: &Log| log.dir.as_ref().map_or("standard error".to_owned(), |dir| dir.display().to_string());
    let found = [
        (old.dir != new.dir).then(|| changed("dir", &place(old), &place(new))),
        (old.level != new.level).then(|| changed("level", old.level.as_str(), new.level.as_str())),
        (old.size != new.size).then(|| changed("size", &old.size.to_string(), &new.size.to_string())),
        (old.age != new.age).then(|| changed("age", &show(old.age), &show(new.age))),
        differs("keep", &old.keep, &new.keep),
    ];
    found.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle_tests::{config, service};
    use speedysvc_config::WorkerCount;
    use std::path::Path;

    fn between(old: Vec<Service>, new: Vec<Service>) -> Vec<(Change, String)> {
        differences(&config(Path::new("/x"), old), &config(Path::new("/x"), new)).unwrap()
    }

    #[test]
    fn only_what_is_different_is_named() {
        let (one, two) = (service("one"), service("two"));
        assert_eq!(between(vec![one.clone(), two.clone()], vec![two.clone(), one.clone()]), []);
        let more = Service { workers: WorkerCount::new(3).unwrap(), drain: Duration::from_secs(1), ..one.clone() };
        let [(Change::Adjust(adjusted), sentence)] = &between(vec![one.clone()], vec![more.clone()])[..] else {
            panic!("one change")
        };
        assert_eq!(adjusted, &more);
        assert_eq!(sentence, "one: workers from 1 to 3, drain from 60 s to 1 s; workers stay");
        let secret = Service { env: vec![("KEY".to_owned(), "secret".to_owned())], ..one.clone() };
        let [(Change::Renew(_), sentence)] = &between(vec![one.clone()], vec![secret])[..] else { panic!("one") };
        assert_eq!(sentence, "one: env; workers are replaced one by one");
        let changes = between(vec![one], vec![two]);
        let sentences: Vec<_> = changes.iter().map(|(_, sentence)| sentence.as_str()).collect();
        assert_eq!(sentences, ["two: new, to be started", "one: not in the file any more, to be stopped"]);
    }

    #[test]
    fn the_dashboard_stays_until_the_engine_starts_anew() {
        let old = config(Path::new("/x"), vec![service("one")]);
        let new = Config { web: Some(speedysvc_config::Web::default()), ..old.clone() };
        let changes = differences(&old, &new).unwrap();
        let [(Change::Web, sentence)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(sentence, "web: different, from the next start of the engine on");
    }

    #[test]
    fn what_cannot_change_is_refused() {
        let old = config(Path::new("/x"), vec![service("one")]);
        let new = config(Path::new("/y"), vec![service("one")]);
        assert!(differences(&old, &new).unwrap_err().contains("stop it, and start it again"));
    }
}
