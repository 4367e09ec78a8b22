//! Names of users and groups → numbers.
//!
//! Reads the files, not the name service: the engine links no resolver, and a number always works.

use std::fs;

use speedysvc_broker::Allow;
use speedysvc_config::{Principal, Service};

use crate::StartError;

/// One of the two databases.
struct Database {
    whom: &'static str,
    file: &'static str,
    /// Read at the first name.
    text: Option<String>,
}

/// The numbers that a service's `allow` stands for.
pub(crate) fn resolve(service: &Service) -> Result<Allow, StartError> {
    let mut users = Database { whom: "user", file: "/etc/passwd", text: None };
    let mut groups = Database { whom: "group", file: "/etc/group", text: None };
    Ok(Allow { uids: users.ids(service, &service.allow.users)?, gids: groups.ids(service, &service.allow.groups)? })
}

impl Database {
    fn ids(&mut self, service: &Service, principals: &[Principal]) -> Result<Vec<u32>, StartError> {
        principals.iter().map(|principal| self.id(service, principal)).collect()
    }

    fn id(&mut self, service: &Service, principal: &Principal) -> Result<u32, StartError> {
        let name = match principal {
            Principal::Id(id) => return Ok(*id),
            Principal::Name(name) => name,
        };
        let text = match self.text.take() {
            Some(text) => text,
            None => self.read()?,
        };
        let id = find(&text, name);
        self.text = Some(text);
        id.ok_or_else(|| StartError::UnknownAccount {
            service: service.name.to_string(),
            whom: self.whom,
            name: name.clone(),
            file: self.file,
        })
    }

    fn read(&self) -> Result<String, StartError> {
        // Comment fields may hold any bytes; names and numbers are ASCII.
        let bytes = fs::read(self.file).map_err(|source| StartError::Accounts { file: self.file, source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The third field of the line whose first is `name`, in `/etc/passwd` as in `/etc/group`.
fn find(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        // An id of all ones means "no change" to the kernel, and is nobody's.
        let id = (fields.next()? == name).then(|| fields.nth(1))??.parse().ok()?;
        (id != u32::MAX).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_whole_names_only() {
        let text =
            "# a comment\n\nroot:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:\nweb:x:34:a,b\nbad:x:many:\nshort:x\n";
        assert_eq!(find(text, "root"), Some(0));
        assert_eq!(find(text, "www"), Some(33));
        assert_eq!(find(text, "web"), Some(34));
        for unknown in ["ww", "wwww", "", "x", "bad", "short", "a"] {
            assert_eq!(find(text, unknown), None, "{unknown}");
        }
        assert_eq!(find("nobody:x:4294967295:", "nobody"), None);
    }
}
