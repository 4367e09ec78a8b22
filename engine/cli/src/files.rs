//! `init` and `import`: files to start from.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::{exit, out};

/// Far more than any service.ini needs.
const LARGEST_INI: u64 = 1 << 20;

/// `init`: a commented service.toml.
pub(crate) fn init(file: &Path) -> ExitCode {
    let text = speedysvc_config::starter();
    if file == Path::new("-") {
        return out::all(&[text.as_bytes()]).err().unwrap_or(ExitCode::SUCCESS);
    }
    write_new(file, &text).err().unwrap_or_else(|| {
        println!("{}: written; `speedysvc-engine --config {}` runs it", file.display(), file.display());
        ExitCode::SUCCESS
    })
}

/// `import`: a service.ini of the Python project. The file goes to standard output or `output`, remarks to standard
/// error.
pub(crate) fn import(ini: &Path, output: Option<&Path>) -> ExitCode {
    let named = |error: &dyn std::fmt::Display| exit::say(&format_args!("{}: {error}", ini.display()), exit::CONFIG);
    let text = match read(ini) {
        Ok(text) => text,
        Err(error) => return named(&error),
    };
    let imported = match speedysvc_config::import::import(&text) {
        Ok(imported) => imported,
        Err(error) => return named(&error),
    };
    let written = match output {
        None => out::all(&[imported.toml.as_bytes()]),
        Some(output) => write_new(output, &imported.toml),
    };
    if let Err(code) = written {
        return code;
    }
    imported.remarks.iter().for_each(|remark| eprintln!("{remark}"));
    ExitCode::SUCCESS
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let count = match path == Path::new("-") {
        true => io::stdin().take(LARGEST_INI + 1).read_to_string(&mut text)?,
        false => File::open(path)?.take(LARGEST_INI + 1).read_to_string(&mut text)?,
    };
    if count as u64 > LARGEST_INI {
        return Err(io::Error::other("it is larger than 1 MiB, which no service.ini is"));
    }
    Ok(text)
}

/// Writes a file that was not there.
fn write_new(path: &Path, text: &str) -> Result<(), ExitCode> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            exit::say(&format_args!("{}: is there already, and was left alone", path.display()), exit::FAILED)
        }
        _ => exit::say(&format_args!("{}: {error}", path.display()), exit::FAILED),
    })
}
