//! The last bench report, where the file names its folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::draw;
use crate::app::App;
use crate::page::{Block, Page};

/// Largest report that is shown.
const REPORT_MAX: u64 = 1 << 20;

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let mut page = Page {
        title: "Bench report".to_owned(),
        place: "bench",
        lead: "`report` in [web] names the folder of a report: `bench-harness compare --out FOLDER` writes one."
            .to_owned(),
        troubles: super::troubles(&app.moment()),
        ..Page::default()
    };
    if let Some(folder) = &app.report {
        page.lead = format!("From {}. The whole report, with drawings, is report.html there.", folder.display());
        page.blocks = match read(folder) {
            Ok(text) => blocks(&text),
            Err(why) => vec![Block { title: "There is none".to_owned(), text: why }],
        };
    }
    draw(&app, &page, "")
}

fn read(folder: &Path) -> Result<String, String> {
    let path = folder.join("results.md");
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let about = fs::metadata(&path).map_err(|error| said(&error))?;
    if about.len() > REPORT_MAX {
        return Err(said(&"it is over 1 MiB"));
    }
    fs::read_to_string(&path).map_err(|error| said(&error))
}

/// A block for each heading in bold, tables aligned as text.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = vec![Block { title: "Report".to_owned(), text: String::new() }];
    let mut table: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with('|') {
            table.push(line.trim_matches('|').split('|').map(str::trim).collect());
            continue;
        }
        if let Some(block) = blocks.last_mut() {
            block.text.push_str(&aligned(&std::mem::take(&mut table)));
        }
        if let Some((title, block)) = line.strip_prefix("# ").zip(blocks.first_mut()) {
            block.title = title.to_owned();
            continue;
        }
        match line.strip_prefix("**").and_then(|rest| rest.strip_suffix("**")) {
            Some(title) => blocks.push(Block { title: title.to_owned(), text: String::new() }),
            None => blocks.iter_mut().last().into_iter().for_each(|block| {
                block.text.push_str(line);
                block.text.push('\n');
            }),
        }
    }
    if let Some(block) = blocks.last_mut() {
        block.text.push_str(&aligned(&table));
    }
    blocks.into_iter().map(|block| Block { text: block.text.trim().to_owned(), ..block }).collect()
}

fn aligned(table: &[Vec<&str>]) -> String {
    let is_rule = |row: &&Vec<&str>| row.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':')));
    let rows: Vec<&Vec<&str>> = table.iter().filter(|row| !is_rule(row)).collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            text.push_str(&if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_under_their_headings() {
        let blocks = blocks("# a\n\n**one**\n\n| x | p50 |\n|---|--:|\n| long | 1 µs |\n\n**two**\n| y |\n");
        assert_eq!((blocks.len(), blocks[0].title.as_str()), (3, "a"));
        assert_eq!((blocks[1].title.as_str(), blocks[1].text.as_str()), ("one", "x      p50\nlong  1 µs"));
        assert_eq!(blocks[2].text, "y");
    }
}
