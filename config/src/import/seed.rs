//! What a `service.ini` can say.

/// A section as it was written.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) keys: Vec<(String, String)>,
}

/// A whole file, in its order.
pub(super) struct Seed {
    pub(super) defaults: Vec<(String, String)>,
    pub(super) services: Vec<Section>,
    pub(super) web: Vec<(String, String)>,
}

/// Every key of a service, or of `[defaults]`. `bind_tcp` is what the Python project's README called `tcp_bind`.
pub(super) const KEYS: [&str; 10] = [
    "import_from",
    "log_dir",
    "tcp_bind",
    "bind_tcp",
    "tcp_compression",
    "tcp_allow_insecure_serialisation",
    "max_proc_num",
    "min_proc_num",
    "max_proc_mem_bytes",
    "wait_until_completed",
];

impl Seed {
    pub(super) fn read(sections: &[Section]) -> Self {
        let of = |name: &str| {
            let same = sections.iter().find(|section| section.name.eq_ignore_ascii_case(name));
            same.map(|section| section.keys.clone()).unwrap_or_default()
        };
        let is_service = |section: &&Section| {
            !["defaults", "web monitor"].iter().any(|name| section.name.eq_ignore_ascii_case(name))
        };
        let services = sections.iter().filter(is_service);
        let services = services.map(|section| Section { name: section.name.clone(), keys: section.keys.clone() });
        Self { defaults: of("defaults"), web: of("web monitor"), services: services.collect() }
    }

    /// What holds for a service: its own word, else that of `[defaults]`.
    pub(super) fn value<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a str> {
        let own = section.keys.iter().find(|(name, _)| name == key);
        let found = own.or_else(|| self.defaults.iter().find(|(name, _)| name == key));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Keys of a service, or that it inherits, which the Python project did not know.
    pub(super) fn unknown<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a str> {
        let all = section.keys.iter().chain(&self.defaults).map(|(key, _)| key.as_str());
        all.filter(|key| !KEYS.contains(key))
    }
}

/// `true`, `false`, `1` or `0`, in any case.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number above 0.
pub(super) fn count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|count| *count > 0)
}
