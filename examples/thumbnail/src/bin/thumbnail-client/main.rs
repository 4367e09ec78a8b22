//! The client: a folder of pictures in, a folder of thumbnails out.
#![forbid(unsafe_code)]

mod find;
mod work;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::{Parser, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use speedysvc::Code;
use thumbnail::{Fit, SIDE_MAX, ThumbnailClient};

use work::{Tally, Work};

/// Some pictures failed.
const SOME_FAILED: u8 = 1;
/// `EX_UNAVAILABLE` of sysexits.h: the service is not there, or went away.
const UNAVAILABLE: u8 = 69;

/// Makes thumbnails of all pictures in a folder, by calling the thumbnail service.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Where the pictures are: .jpg, .jpeg and .png
    folder: PathBuf,
    /// Where the thumbnails go: the thumbnail of a.png is a.png.jpg
    out: PathBuf,
    /// Where the service is: shm://NAME or tcp://HOST:PORT
    #[arg(long, default_value = "shm://thumbnail")]
    address: String,
    /// Largest width of a thumbnail in pixels
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=i64::from(SIDE_MAX)))]
    width: u32,
    /// Largest height of a thumbnail in pixels
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=i64::from(SIDE_MAX)))]
    height: u32,
    /// JPEG's quality
    #[arg(long, default_value_t = 85, value_parser = value_parser!(u8).range(1..=100))]
    quality: u8,
    /// How many calls at once; as many as there are processors when not given
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Make each thumbnail here too, and compare byte for byte
    #[arg(long)]
    verify: bool,
    /// Subfolders too
    #[arg(long)]
    recursive: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let found = match find::pictures(&options.folder, &options.out, options.recursive) {
        Ok(found) => found,
        Err(error) => return end(SOME_FAILED, &format!("{}: {error}", options.folder.display())),
    };
    let client = match ThumbnailClient::connect(&options.address) {
        Ok(client) => client,
        Err(error) => return end(code_for(error.code()), &error.to_string()),
    };
    if found.pictures.is_empty() {
        let hint = if options.recursive { "" } else { " itself; --recursive looks into its subfolders" };
        eprintln!("no .jpg, .jpeg or .png in {}{hint}", options.folder.display());
    }
    let bar = progress_bar(found.pictures.len());
    for problem in &found.problems {
        bar.suspend(|| eprintln!("{problem}"));
    }
    let fit = Fit { width: options.width, height: options.height, quality: options.quality };
    let work = Work { client: &client, fit, verify: options.verify, out: &options.out, bar: &bar };
    let jobs = options.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let begin = Instant::now();
    let mut tally = work.all(&found.pictures, jobs);
    let seconds = begin.elapsed().as_secs_f64();
    bar.finish_and_clear();
    tally.failed += found.problems.len();
    report(&tally, seconds)
}

fn end(code: u8, why: &str) -> ExitCode {
    eprintln!("thumbnail-client: {why}");
    ExitCode::from(code)
}

fn code_for(code: Code) -> u8 {
    if matches!(code, Code::Unavailable | Code::DeadlineExceeded) { UNAVAILABLE } else { SOME_FAILED }
}

/// On standard error, and only when that is a terminal.
fn progress_bar(pictures: usize) -> ProgressBar {
    let bar = ProgressBar::new(pictures as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} images, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        // The bar has a style of its own.
        Err(_) => bar,
    }
}

fn report(tally: &Tally, seconds: f64) -> ExitCode {
    let Tally { made, failed, bytes, is_gone } = *tally;
    // For the eye: these numbers may lose their last digits.
    let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
    let images = made + failed;
    let line = format!(
        "{images} images, {failed} failed, {:.1} images/s, {:.1} MB/s in",
        per_second(made as f64),
        per_second(bytes as f64 / 1e6)
    );
    if writeln!(io::stdout(), "{line}").is_err() {
        // Whoever asked does not listen any more; the code still tells.
    }
    ExitCode::from(match (is_gone, failed) {
        (true, _) => UNAVAILABLE,
        (false, 0) => 0,
        (false, _) => SOME_FAILED,
    })
}
