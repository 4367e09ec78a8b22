//! Names of users and groups → numbers.
//!
//! Reads the files, not the name service: the engine links no resolver, and a number always works.

use std::fs;
use std::path::PathBuf;

use speedysvc_broker::Allow;
use speedysvc_config::{Principal, Service};

use crate::StartError;

/// One of the two databases.
struct Database {
    /// Of the file that names somebody.
    key: &'static str,
    whom: &'static str,
    file: &'static str,
    /// Read at the first name.
    text: Option<String>,
}

/// The numbers that a service's `allow` stands for.
pub(crate) fn resolve(service: &Service) -> Result<Allow, StartError> {
    let (mut users, mut groups) = (Database::users("allow"), Database::groups("allow"));
    Ok(Allow { uids: users.ids(service, &service.allow.users)?, gids: groups.ids(service, &service.allow.groups)? })
}

/// A user, and what is known of it beside its number.
pub(crate) struct Account {
    pub(crate) uid: u32,
    /// Its own group; unknown for a number without an account.
    pub(crate) gid: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) home: Option<PathBuf>,
}

/// The user of `run_as`.
pub(crate) fn user(service: &Service, principal: &Principal) -> Result<Account, StartError> {
    let mut users = Database::users("run_as");
    let uid = users.id(service, principal)?;
    let text = users.text()?;
    let line = text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| match principal {
        Principal::Name(name) => fields[0] == name,
        Principal::Id(_) => fields.get(2).and_then(|id| id.parse().ok()) == Some(uid),
    });
    let field = |index: usize| line.as_ref().and_then(|fields| fields.get(index).copied());
    Ok(Account {
        uid,
        gid: field(3).and_then(|gid| gid.parse().ok()).filter(|gid| *gid != u32::MAX),
        name: field(0).map(str::to_owned),
        home: field(5).filter(|home| home.starts_with('/')).map(PathBuf::from),
    })
}

/// A group of `run_as`.
pub(crate) fn group(service: &Service, principal: &Principal) -> Result<u32, StartError> {
    Database::groups("run_as").id(service, principal)
}

/// The groups that name a user as a member.
pub(crate) fn groups_of(user: &str) -> Result<Vec<u32>, StartError> {
    Ok(groups_with(Database::groups("run_as").text()?, user))
}

fn groups_with(text: &str, user: &str) -> Vec<u32> {
    let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_member = |fields: &Vec<&str>| fields.get(3).is_some_and(|members| members.split(',').any(|one| one == user));
    lines.filter(is_member).filter_map(|fields| fields[2].parse().ok()).filter(|gid| *gid != u32::MAX).collect()
}

impl Database {
    const fn users(key: &'static str) -> Self {
        Self { key, whom: "user", file: "/etc/passwd", text: None }
    }

    const fn groups(key: &'static str) -> Self {
        Self { key, whom: "group", file: "/etc/group", text: None }
    }

    fn ids(&mut self, service: &Service, principals: &[Principal]) -> Result<Vec<u32>, StartError> {
        principals.iter().map(|principal| self.id(service, principal)).collect()
    }

    fn id(&mut self, service: &Service, principal: &Principal) -> Result<u32, StartError> {
        let name = match principal {
            Principal::Id(id) => return Ok(*id),
            Principal::Name(name) => name,
        };
        find(self.text()?, name).ok_or_else(|| StartError::UnknownAccount {
            service: service.name.to_string(),
            key: self.key,
            whom: self.whom,
            name: name.clone(),
            file: self.file,
        })
    }

    /// The file, read once.
    fn text(&mut self) -> Result<&str, StartError> {
        let text = match self.text.take() {
            Some(text) => text,
            None => {
                let failed = |source| StartError::Accounts { key: self.key, file: self.file, source };
                // Comment fields may hold any bytes; names and numbers are ASCII.
                String::from_utf8_lossy(&fs::read(self.file).map_err(failed)?).into_owned()
            }
        };
        Ok(self.text.insert(text))
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
    use super::{find, groups_with};

    #[test]
    fn members_of_groups_are_whole_names() {
        let text = "video:x:44:web,www\naudio:x:29:\nweb:x:34:w\nshort:x\nbad:x:many:www\nwww:x:33:www";
        assert_eq!(groups_with(text, "www"), [44, 33]);
        assert_eq!(groups_with(text, "ww"), [0_u32; 0]);
    }

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
