//! One value: from TOML to a type that has a unit and a range, or to what is wrong with it.

pub(crate) mod process;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use crate::problem::Complaint;
use crate::suggest::closest;
use crate::units::{UnitError, parse_duration, parse_size, show_duration};
use crate::{
    Builtin, ByteSize, Compression, DriverChoice, Log, LogLevel, Namespace, Principal, Refused, Restart, RestartLimit,
    Scale, ScaleRule, SlotCount, Spin, Trust, WorkerCount,
};

type Read<T> = Result<T, Complaint>;

/// The value has another TOML type than it should.
pub(crate) fn wrong_type(value: &DeValue<'_>, expected: &str) -> Complaint {
    let kind = match value {
        DeValue::Integer(_) | DeValue::Array(_) => format!("an {}", value.type_str()),
        _ => format!("a {}", value.type_str()),
    };
    Complaint::new(format!("must not be {kind}"), expected)
}

/// Text of any kind, except that it can be handed to the kernel.
pub(crate) fn text(value: &DeValue<'_>) -> Read<String> {
    let expected = "text in quotes";
    match value {
        DeValue::String(text) if text.contains('\0') => Err(Complaint::new("holds a zero byte", "text without one")),
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => Err(wrong_type(value, expected).meant(Some(format!("\"{number}\"")))),
        DeValue::Boolean(yes) => Err(wrong_type(value, expected).meant(Some(format!("\"{yes}\"")))),
        _ => Err(wrong_type(value, expected)),
    }
}

/// Text that says something.
pub(crate) fn some_text(value: &DeValue<'_>) -> Read<String> {
    let text = text(value)?;
    if text.is_empty() { Err(Complaint::new("is empty", "some text")) } else { Ok(text) }
}

pub(crate) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    some_text(value).map(PathBuf::from)
}

pub(crate) fn namespace(value: &DeValue<'_>) -> Read<Namespace> {
    let text = text(value)?;
    let instead = text.to_lowercase().replace(['_', ' ', '.'], "-");
    Namespace::new(&text).map_err(|refused| {
        let instead = Namespace::new(&instead).ok().map(|name| format!("\"{name}\""));
        Complaint::new("is not a namespace", refused.expected).meant(instead)
    })
}

/// One of a few words.
fn word<T: Copy>(value: &DeValue<'_>, expected: &str, words: &[(&str, T)]) -> Read<T> {
    let DeValue::String(text) = value else { return Err(wrong_type(value, expected)) };
    let known = words.iter().find(|(word, _)| word == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let instead = closest(text, words.iter().map(|(word, _)| *word));
        Complaint::new(format!("has no choice \"{text}\""), expected).meant(instead.map(|word| format!("\"{word}\"")))
    })
}

pub(crate) fn builtin(value: &DeValue<'_>) -> Read<Builtin> {
    let words = Builtin::ALL.map(|builtin| (builtin.as_str(), builtin));
    word(value, "\"echo\", the only builtin", &words)
        .map_err(|complaint| complaint.help("a program of your own is named with `program = \"...\"`"))
}

pub(crate) fn driver(value: &DeValue<'_>) -> Read<DriverChoice> {
    let expected = "\"auto\", \"io_uring\" or \"epoll\"";
    let words = [("auto", DriverChoice::Auto), ("io_uring", DriverChoice::IoUring), ("epoll", DriverChoice::Epoll)];
    word(value, expected, &words)
}

pub(crate) fn compression(value: &DeValue<'_>) -> Read<Compression> {
    let words = Compression::ALL.map(|compression| (compression.as_str(), compression));
    word(value, "\"none\", \"lz4\", \"snappy\" or \"zlib\"", &words)
}

/// `true` or `false`.
pub(crate) fn yes_or_no(value: &DeValue<'_>) -> Read<bool> {
    match value {
        DeValue::Boolean(answer) => Ok(*answer),
        _ => Err(wrong_type(value, "true or false")),
    }
}

pub(crate) fn trust(value: &DeValue<'_>) -> Read<Trust> {
    word(value, "\"same-user\" or \"never\"", &[("same-user", Trust::SameUser), ("never", Trust::Never)])
}

/// A whole number that `make` accepts.
fn count<T>(value: &DeValue<'_>, make: impl Fn(u16) -> Result<T, Refused>) -> Read<T> {
    // What zero is refused with says the range; every count starts at one.
    let expected = make(0).err().map_or("a whole number", |refused| refused.expected);
    let DeValue::Integer(number) = value else {
        let digits = value.as_str().filter(|text| text.parse::<u16>().is_ok());
        return Err(wrong_type(value, expected).meant(digits.map(str::to_owned)));
    };
    let number = u16::from_str_radix(number.as_str(), number.radix()).ok();
    number.and_then(|number| make(number).ok()).ok_or_else(|| Complaint::new("is out of range", expected))
}

pub(crate) fn workers(value: &DeValue<'_>) -> Read<WorkerCount> {
    count(value, WorkerCount::new)
}

pub(crate) fn slots(value: &DeValue<'_>) -> Read<SlotCount> {
    count(value, SlotCount::new)
}

/// A whole number of percent.
pub(crate) fn percent(value: &DeValue<'_>) -> Read<u16> {
    let expected = "a whole number from 1 to 100";
    count(value, |number| if Scale::PERCENT.contains(&number) { Ok(number) } else { Err(Refused { expected }) })
}

pub(crate) fn scale_rule(value: &DeValue<'_>) -> Read<ScaleRule> {
    word(value, "\"busy\" or \"cpu\"", &[("busy", ScaleRule::Busy), ("cpu", ScaleRule::Cpu)])
}

/// How many files.
pub(crate) fn files_kept(value: &DeValue<'_>) -> Read<u16> {
    let expected = "a whole number from 1 to 1000";
    count(value, |number| if Log::KEEP.contains(&number) { Ok(number) } else { Err(Refused { expected }) })
}

pub(crate) fn level(value: &DeValue<'_>) -> Read<LogLevel> {
    let expected = "\"trace\", \"debug\", \"info\", \"warn\" or \"error\"";
    word(value, expected, &LogLevel::ALL.map(|level| (level.as_str(), level)))
}

/// A duration within a range, or `"none"`.
pub(crate) fn duration_or_none(within: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Read<Option<Duration>> {
    let duration = duration(within);
    move |value| if value.as_str() == Some("none") { Ok(None) } else { duration(value).map(Some) }
}

/// A number where a unit belongs, or anything else that is not text.
fn unit_text<'v>(value: &'v DeValue<'_>, what: &str, units: &[&str]) -> Read<&'v str> {
    let examples = |number: &str| {
        let examples: Vec<_> = units.iter().map(|unit| format!("\"{number}{unit}\"")).collect();
        examples.join(" or ")
    };
    match value {
        DeValue::String(text) => Ok(text),
        DeValue::Integer(number) => {
            let said = number.to_string();
            let complaint = wrong_type(value, format!("{what} in quotes, such as {}", examples("30")).as_str());
            Err(complaint.help(format!("a number needs a unit: write {}", examples(&said))))
        }
        _ => Err(wrong_type(value, &format!("{what} in quotes, such as {}", examples("30")))),
    }
}

fn bad_unit(what: &str, error: UnitError) -> Complaint {
    Complaint::new(what, error.expected).meant(error.instead.map(|text| format!("\"{text}\"")))
}

/// A duration of any length.
fn any_duration(value: &DeValue<'_>) -> Read<Duration> {
    let text = unit_text(value, "a duration", &["s", "ms"])?;
    parse_duration(text).map_err(|error| bad_unit("is not a duration", error))
}

/// A duration within a range.
pub(crate) fn duration(within: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| in_range(any_duration(value)?, &within, show_duration)
}

pub(crate) fn spin(value: &DeValue<'_>) -> Read<Spin> {
    let longest = any_duration(value)?;
    Spin::new(longest).map_err(|refused| {
        Complaint::new("is out of range", refused.expected)
            .help("a longer busy wait only burns a core: a sleep and a wake cost less than 100us")
    })
}

/// A size within a range.
pub(crate) fn size(within: RangeInclusive<ByteSize>) -> impl Fn(&DeValue<'_>) -> Read<ByteSize> {
    move |value| {
        let text = unit_text(value, "a size", &["KiB", "MiB"])?;
        let size = parse_size(text).map_err(|error| bad_unit("is not a size", error))?;
        in_range(size, &within, |size| size.to_string())
    }
}

fn in_range<T: Copy + PartialOrd>(value: T, within: &RangeInclusive<T>, show: impl Fn(T) -> String) -> Read<T> {
    if within.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (show(*within.start()), show(*within.end()));
    Err(Complaint::new("is out of range", format!("\"{least}\" to \"{most}\"")))
}

/// `"100ms..30s"`: the first pause and the longest.
pub(crate) fn backoff(value: &DeValue<'_>) -> Read<(Duration, Duration)> {
    let expected = "the first and the longest pause, such as \"100ms..30s\"";
    let DeValue::String(text) = value else { return Err(wrong_type(value, expected)) };
    let Some((first, longest)) = text.split_once("..") else {
        let instead = parse_duration(text).ok().map(|_| format!("\"{text}..{text}\""));
        return Err(Complaint::new("is not a range of durations", expected).meant(instead));
    };
    let (first, longest) = (pause(first)?, pause(longest)?);
    if first > longest {
        let instead = format!("\"{}..{}\"", show_duration(longest), show_duration(first));
        return Err(Complaint::new("has its longest pause before its first", expected).meant(Some(instead)));
    }
    Ok((first, longest))
}

fn pause(text: &str) -> Read<Duration> {
    let what = format!("has a pause of \"{text}\", which is not a duration");
    let pause = parse_duration(text).map_err(|error| bad_unit(&what, error))?;
    in_range(pause, &Restart::BACKOFF, show_duration)
}

/// `"5 in 60s"`, or `"none"`.
pub(crate) fn restart_limit(value: &DeValue<'_>) -> Read<Option<RestartLimit>> {
    let expected = "deaths and a time, such as \"5 in 60s\", or \"none\" to never give up";
    let DeValue::String(text) = value else { return Err(wrong_type(value, expected)) };
    if text == "none" {
        return Ok(None);
    }
    let parts =
        text.split_once(" in ").and_then(|(deaths, within)| Some((deaths.trim().parse::<u32>().ok()?, within.trim())));
    let Some((deaths, within)) = parts else {
        let instead = closest(text, ["none"]).map(|word| format!("\"{word}\""));
        return Err(Complaint::new("is not a limit", expected).meant(instead));
    };
    limit_of(deaths, within, expected).map(Some)
}

fn limit_of(deaths: u32, within: &str, expected: &str) -> Read<RestartLimit> {
    if !RestartLimit::DEATHS.contains(&deaths) {
        let (least, most) = (RestartLimit::DEATHS.start(), RestartLimit::DEATHS.end());
        let what = "is out of range";
        return Err(Complaint::new(what, format!("{least} to {most} deaths, or \"none\"")));
    }
    let within = parse_duration(within).map_err(|error| {
        let instead = error.instead.map(|within| format!("\"{deaths} in {within}\""));
        Complaint::new("is not a limit", expected).meant(instead)
    })?;
    let within = in_range(within, &RestartLimit::WITHIN, show_duration)?;
    Ok(RestartLimit { deaths, within })
}

/// A user or a group: a name, or a number with or without quotes.
pub(crate) fn principal(value: &DeValue<'_>) -> Read<Principal> {
    let expected = "a name such as \"www-data\", or a numeric id";
    match value {
        DeValue::Integer(number) => id(number.as_str(), number.radix(), expected),
        DeValue::String(text) if is_number(text) => id(text, 10, expected),
        DeValue::String(text) if is_account_name(text) => Ok(Principal::Name(text.clone().into_owned())),
        DeValue::String(_) => Err(Complaint::new("holds what cannot be a name", expected)),
        _ => Err(wrong_type(value, expected)),
    }
}

fn id(digits: &str, radix: u32, expected: &str) -> Read<Principal> {
    match u32::from_str_radix(digits, radix) {
        // The kernel reads the largest number as "nobody in particular", which must not open a door.
        Ok(id) if id != u32::MAX => Ok(Principal::Id(id)),
        _ => Err(Complaint::new("holds an id that no account can have", expected)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What could stand in /etc/passwd. Whether it does is not known here.
fn is_account_name(text: &str) -> bool {
    let separates = |c: char| c.is_whitespace() || c.is_control() || ":,/".contains(c);
    !text.is_empty() && !text.starts_with('-') && !text.contains(separates)
}

/// One environment variable.
pub(crate) fn variable(name: &str, value: &DeValue<'_>) -> Read<(String, String)> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let what = "is not a name of an environment variable";
        return Err(Complaint::new(what, "a name without `=`"));
    }
    Ok((name.to_owned(), text(value)?))
}
