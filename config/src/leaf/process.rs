//! Values that concern a worker's process.

use std::path::PathBuf;

use toml::de::DeValue;

use super::{Read, path, unit_text, wrong_type};
use crate::problem::Complaint;
use crate::suggest::closest;
use crate::units::parse_size;
use crate::{ByteSize, CpuSet, MEMORY, Rlimit, Umask};

fn is_none(value: &DeValue<'_>) -> bool {
    value.as_str() == Some("none")
}

/// A path, or `"none"`.
pub(crate) fn path_or_none(value: &DeValue<'_>) -> Read<Option<PathBuf>> {
    if is_none(value) { Ok(None) } else { path(value).map(Some) }
}

/// Octal digits as text, because TOML has numbers that only look like it; or `"none"`.
pub(crate) fn umask(value: &DeValue<'_>) -> Read<Option<Umask>> {
    let expected = "octal digits in quotes, such as \"027\", or \"none\"";
    let DeValue::String(text) = value else {
        let said = if let DeValue::Integer(number) = value { Some(format!("\"{}\"", number.as_str())) } else { None };
        return Err(wrong_type(value, expected).meant(said));
    };
    if text == "none" {
        return Ok(None);
    }
    let bits = u16::from_str_radix(text, 8).ok().and_then(|bits| Umask::new(bits).ok());
    bits.map(Some).ok_or_else(|| Complaint::new("is not a umask", expected))
}

/// Processors, or `"all"`.
pub(crate) fn cpus(value: &DeValue<'_>) -> Read<Option<CpuSet>> {
    let expected = "processors such as \"0-3,6\", or \"all\"";
    match value {
        DeValue::String(text) if text == "all" => Ok(None),
        DeValue::String(text) => match CpuSet::parse(text) {
            Ok(set) => Ok(Some(set)),
            Err(refused) => Err(Complaint::new("is not a set of processors", refused.expected)),
        },
        DeValue::Integer(number) => Err(wrong_type(value, expected).meant(Some(format!("\"{}\"", number.as_str())))),
        _ => Err(wrong_type(value, expected)),
    }
}

/// A size, or `"none"`.
pub(crate) fn memory(value: &DeValue<'_>) -> Read<Option<ByteSize>> {
    if is_none(value) { Ok(None) } else { super::size(MEMORY)(value).map(Some) }
}

/// One of the kernel's bounds: a number, a size, or `"unlimited"`.
pub(crate) fn rlimit(name: &str, value: &DeValue<'_>) -> Read<(Rlimit, Option<u64>)> {
    let Some(limit) = Rlimit::ALL.into_iter().find(|limit| limit.as_str() == name) else {
        let names = Rlimit::ALL.map(Rlimit::as_str);
        let complaint = Complaint::new("is no bound of the kernel that can be set here", names.join(", "));
        return Err(complaint.meant(closest(name, names).map(str::to_owned)));
    };
    if value.as_str() == Some("unlimited") {
        return Ok((limit, None));
    }
    if limit.is_count() {
        let expected = "a whole number, or \"unlimited\"";
        let DeValue::Integer(number) = value else { return Err(wrong_type(value, expected)) };
        let number = u64::from_str_radix(number.as_str(), number.radix());
        return Ok((limit, Some(number.map_err(|_| Complaint::new("is out of range", expected))?)));
    }
    let text = unit_text(value, "a size, or \"unlimited\"", &["KiB", "MiB"])?;
    let size = parse_size(text).map_err(|error| super::bad_unit("is not a size", error))?;
    Ok((limit, Some(size.bytes())))
}
