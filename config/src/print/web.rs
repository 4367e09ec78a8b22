//! The rows of the dashboard.

use super::{Page, list, path, text};
use crate::{History, Web};

pub(super) fn write(page: &mut Page<'_>, web: Option<&Web>) {
    page.table("web");
    let Some(web) = web else {
        page.own("listen", &["web"], &false.into());
        return;
    };
    if web.is_written {
        page.own("listen", &["web"], &text(web.listen));
    } else {
        page.text += &format!("# listen: {}, by default, unless something else has it\n", web.listen);
    }
    match &web.token_file {
        Some(file) => page.own("token_file", &["web"], &path(file)),
        None => page.text += "# token_file: none, so that nobody is asked\n",
    }
    if !web.listen.ip().is_loopback() {
        page.own("insecure", &["web"], &true.into());
    }
    page.own("hosts", &["web"], &list(&web.hosts, |host| text(host)));
    match &web.history {
        History::Default => page.text += "# history: systemd's state folder, or beside the run folder\n",
        History::File(file) => page.own("history", &["web"], &path(file)),
        History::Forgotten => page.own("history", &["web"], &false.into()),
    }
    match &web.report {
        Some(folder) => page.own("report", &["web"], &path(folder)),
        None => page.text += "# report: none\n",
    }
}
