//! Whether a page's markup is sound: elements end in their order, attributes are quoted, identifiers are unique.

/// Checks a page, and gives the names of its elements.
///
/// # Errors
/// What is wrong first.
pub(super) fn elements(page: &str) -> Result<Vec<String>, String> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    let (mut open, mut all, mut ids): (Vec<String>, Vec<String>, Vec<&str>) = (vec![], vec![], vec![]);
    while let Some((text, tag)) = rest.split_once('<') {
        if text.contains('>') {
            return Err(format!("a bare > in {text:?}"));
        }
        let (inside, behind) = tag.split_once('>').ok_or("a tag does not end")?;
        rest = behind;
        if let Some(name) = inside.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("</{name}> ends nothing"));
            }
            continue;
        }
        let name = inside.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned();
        ids.extend(
            attributes(inside.trim_end_matches('/'))?.into_iter().filter(|(key, _)| *key == "id").map(|(_, id)| id),
        );
        all.push(name.clone());
        if matches!(name.as_str(), "style" | "script") {
            rest = rest.split_once(&format!("</{name}>")).ok_or("it does not end")?.1;
        } else if !inside.ends_with('/') {
            open.push(name);
        }
    }
    if rest.contains('>') {
        return Err(format!("a bare > in {rest:?}"));
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    match (open.is_empty(), ids.len() == count) {
        (true, true) => Ok(all),
        (false, _) => Err(format!("never ended: {open:?}")),
        (_, false) => Err("an identifier is there twice".into()),
    }
}

/// `name="value"` after each other, each once.
fn attributes(tag: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut rest = tag.split_once(' ').map_or("", |(_, rest)| rest).trim();
    let mut found: Vec<(&str, &str)> = vec![];
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").ok_or_else(|| format!("no value in <{tag}>"))?;
        let (value, behind) = behind.split_once('"').ok_or_else(|| format!("no quote in <{tag}>"))?;
        if name.contains([' ', '"', '\'']) || found.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} is wrong in <{tag}>"));
        }
        found.push((name, value));
        rest = behind.trim_start();
    }
    Ok(found)
}

#[test]
fn unsound_markup_is_found() {
    let said = |body: &str| elements(&format!("<!DOCTYPE html>{body}"));
    assert_eq!(said("<p id=\"a\">x<br/></p><style>a > b</style>"), Ok(["p", "br", "style"].map(Into::into).into()));
    for wrong in
        ["<p>", "</p>", "<b><i></b></i>", "<p id=a></p>", "<p id=\"a\"/><p id=\"a\"/>", "a > b", "<p a=\"1\" a=\"2\"/>"]
    {
        assert!(said(wrong).is_err(), "{wrong}");
    }
    assert!(elements("<p></p>").is_err());
}
