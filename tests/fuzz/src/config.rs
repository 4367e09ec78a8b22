//! service.toml: any text is a configuration, or a report of what is wrong with it.

use std::path::Path;

use speedysvc_config::{Surroundings, load_text};

/// Longer ones find nothing that shorter ones do not, and take longer.
const LONGEST: usize = 4096;

pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(LONGEST)]) else { return };
    // A folder that is not there: whatever a text names, nothing is found.
    let surroundings = Surroundings { run_dir_env: Some("/nowhere".into()), ..Surroundings::default() };
    match load_text(text, Path::new("/nowhere/service.toml"), &surroundings) {
        Ok(config) => assert!(!config.services.is_empty(), "nothing to serve is a mistake"),
        Err(report) => assert!(!report.to_string().is_empty(), "a mistake that is not shown"),
    }
}
