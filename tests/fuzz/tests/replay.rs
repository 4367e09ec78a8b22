//! All targets without a fuzzer: the corpus, and inputs made of it by chance. The chance is the same each time.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use speedysvc_fuzz::{TARGETS, Target};

/// xorshift64*: (Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One to four changes: a bit, a byte, a number at its limits, a cut, a repetition, a piece of another.
fn change(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        match chance.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            1 if !bytes.is_empty() => bytes[at] = chance.next() as u8,
            2 if bytes.len() >= at + 4 => {
                let edge = [0, 1, 0x7FFF_FFFF, u32::MAX, 0xFFFF_FFF8][chance.below(5)];
                bytes[at..at + 4].copy_from_slice(&edge.to_le_bytes());
            }
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..),
            5 => {
                let other = &seeds[chance.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[chance.below(other.len())..]);
            }
            _ => bytes.insert(at, chance.next() as u8),
        }
        bytes.truncate(1 << 14);
    }
    bytes
}

fn noise(chance: &mut Chance) -> Vec<u8> {
    let len = chance.below(200);
    (0..len).map(|_| chance.next() as u8).collect()
}

fn replay(target: &Target) {
    let seeds = corpus(target);
    assert!(!seeds.is_empty(), "corpus/{} is empty", target.name);
    seeds.iter().for_each(|seed| (target.run)(seed));
    let mut chance = Chance(0x5EED + target.tries as u64);
    for round in 0..target.tries {
        let input = if round % 8 == 0 { noise(&mut chance) } else { change(&seeds, &mut chance) };
        let shown = Shown { target: target.name, input };
        (target.run)(&shown.input);
    }
}

/// Shows the input on the way out of a panic: put it into the corpus.
struct Shown {
    target: &'static str,
    input: Vec<u8>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.target, self.input.escape_ascii());
        }
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                replay(TARGETS.iter().find(|target| target.name == stringify!($name)).unwrap());
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), tested);
        }
    };
}
targets!(archive, arguments, call, config, control, frame, geometry, hello, http, packed, slots, trace, words);
