//! Attacks on memory that is not the client's: writing, resizing and reopening it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::mm::{Advice, ProtFlags};

use crate::hostile::ground::Ground;
use crate::hostile::memory::Mapping;

/// Tries everything, and says of each try whether it was refused. Only another user than the engine's is kept out of
/// what `/proc` shows.
pub fn seize(ground: &Ground) -> io::Result<()> {
    let link = ground.attach()?;
    let both = ProtFlags::READ | ProtFlags::WRITE;
    ground.say("began");
    let say = |what: String, tried: io::Result<()>| match tried {
        Ok(()) => ground.say(&format!("ALLOWED: {what}")),
        Err(error) => ground.say(&format!("refused: {what}: {error}")),
    };
    for (name, file) in [("reply", &link.files[1]), ("board", &link.files[3])] {
        say(format!("map {name} for writing"), Mapping::new(file, 4096, both).map(drop));
        let mapped = Mapping::new(file, 4096, ProtFlags::READ)?;
        say(format!("unprotect {name}"), mapped.unprotect());
        say(format!("drop the pages of {name}"), mapped.advise(Advice::LinuxRemove));
        say(format!("write {name}"), rustix::io::pwrite(file, &[1; 8], 0).map(drop).map_err(Into::into));
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        say(format!("punch {name}"), fallocate(file, punch, 0, 4096).map_err(Into::into));
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        say(format!("reopen {name} for writing"), File::options().write(true).open(path).map(drop));
    }
    for (name, file) in [("request", &link.files[0]), ("reply", &link.files[1]), ("board", &link.files[3])] {
        for size in [0, 4096, 1 << 40] {
            say(format!("resize {name} to {size}"), ftruncate(file, size).map_err(Into::into));
        }
        let longer = fallocate(file, FallocateFlags::empty(), 0, 1 << 40);
        say(format!("lengthen {name}"), longer.map_err(Into::into));
    }
    for pid in &ground.pids {
        for name in ["mem", "fd/0", "environ"] {
            let opened = File::options().read(true).write(name == "mem").open(format!("/proc/{pid}/{name}"));
            say(format!("open /proc/{pid}/{name}"), opened.map(drop));
        }
    }
    Ok(())
}
