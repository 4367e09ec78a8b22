//! What a terminal shows at the end of a campaign.

use super::baseline::Against;
use super::{Report, summary, wins};

/// Tables, where others win, what is missing, warnings.
pub(crate) fn text(report: &Report) -> String {
    let tables: Vec<String> = summary::tables(report).iter().map(|table| table.text()).collect();
    let mut text = tables.join("\n") + &wins(report);
    if let Some(against) = &report.baseline {
        text.push_str(&baseline(against));
    }
    if !report.absent.is_empty() || !report.warnings.is_empty() {
        text.push('\n');
    }
    for absent in report.absent.iter().filter(|absent| absent.why != "not yet") {
        text.push_str(&format!("{} is missing: {}\n", absent.contender, absent.why));
    }
    for warning in &report.warnings {
        text.push_str(&format!("{warning}\n"));
    }
    text
}

fn wins(report: &Report) -> String {
    let mut text = format!("\nWhere others win. {}\n", wins::LEGEND);
    for compared in &report.compared {
        for wins::Said { figure, text: said } in wins::said(report, compared) {
            text.push_str(&format!("{}, {figure}: {said}\n", compared.scenario));
        }
    }
    text
}

fn baseline(against: &Against) -> String {
    let mut text = format!("\n{}{}\n", against.table().text(), against.words());
    for skipped in &against.not_compared {
        text.push_str(&format!("not compared: {}: {}\n", skipped.what, skipped.why));
    }
    for doubt in &against.doubts {
        text.push_str(&format!("{doubt}\n"));
    }
    text
}
