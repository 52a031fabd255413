//! A disk that keeps apart what it was told and what it would still know after a loss of power.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::trace::Step;

/// What a disk tears a write into.
const SECTOR: usize = 512;

/// What is found after a loss of power: the files and their bytes.
pub type Image = BTreeMap<String, Vec<u8>>;

/// A disk, told a step at a time what a process does.
#[derive(Default)]
pub struct Disk {
    /// Every file that ever was; one without a name may still be found under it.
    files: Vec<File>,
    /// What the running system finds under each name.
    live: BTreeMap<String, usize>,
    /// What is found after a loss of power.
    durable: BTreeMap<String, usize>,
    /// What each name was made to stand for since the folder was last synced.
    renamed: Vec<(String, Option<usize>)>,
    /// Whether it says that it has synced and does not.
    lies: bool,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    changes: Vec<(Change, Fate)>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It may be on the disk, and the next sync puts it there.
    Waiting,
    /// It may be on the disk, and no sync will put it there: the one that was to has failed, and
    /// the system has forgotten that there was something to write.
    Lost,
    /// It is on the disk, after all those before it that are.
    Durable,
}

impl Disk {
    /// A disk on which everything in `folder` is durable.
    pub fn holding(folder: &Path) -> Self {
        let mut disk = Self::default();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let durable = fs::read(entry.path()).unwrap();
            let name = entry.file_name().into_string().unwrap();
            disk.live.insert(name, disk.files.len());
            disk.files.push(File {
                durable,
                changes: Vec::new(),
            });
        }
        disk.durable = disk.live.clone();
        disk
    }

    /// A disk whose syncs do nothing.
    pub fn lying() -> Self {
        Self {
            lies: true,
            ..Self::default()
        }
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Create(name) if !self.live.contains_key(name) => {
                self.rename(name, Some(self.files.len()));
                self.files.push(File::default());
            }
            Step::Unlink(name) => self.rename(name, None),
            Step::Write { name, at, bytes } => self.change(
                name,
                Change::Write {
                    at: *at,
                    bytes: bytes.clone(),
                },
            ),
            Step::Truncate { name, length } => self.change(name, Change::Truncate(*length)),
            // A failed sync of the folder leaves its names as they are: to be synced yet.
            Step::FailedSync(name) if name.is_empty() => {}
            Step::Sync(_) if self.lies => {}
            Step::Sync(name) if name.is_empty() => {
                self.renamed.clear();
                self.durable.clone_from(&self.live);
            }
            Step::Sync(name) => self.file(name).settle(Fate::Durable),
            Step::FailedSync(name) => self.file(name).settle(Fate::Lost),
            Step::Create(_) | Step::Said(_) => {}
        }
    }

    fn rename(&mut self, name: &str, file: Option<usize>) {
        point(&mut self.live, name, file);
        self.renamed.push((name.to_owned(), file));
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.live[name]]
    }

    fn change(&mut self, name: &str, change: Change) {
        self.file(name).changes.push((change, Fate::Waiting));
    }

    /// What is found after a loss of power now.
    pub fn image(&self, mut survival: Survival) -> Image {
        let mut names = self.durable.clone();
        for (name, file) in &self.renamed {
            if survival.of(1)[0] {
                point(&mut names, name, *file);
            }
        }
        names
            .into_iter()
            .map(|(name, file)| (name, self.files[file].image(&mut survival)))
            .collect()
    }

    /// How much is undecided, in the units that [`Survival`] decides on.
    pub fn undecided(&self) -> usize {
        let changes = self.files.iter().flat_map(|file| &file.changes);
        let undecided = changes.filter(|(_, fate)| *fate != Fate::Durable);
        self.renamed.len() + undecided.map(|(change, _)| change.units()).sum::<usize>()
    }
}

fn point(names: &mut BTreeMap<String, usize>, name: &str, file: Option<usize>) {
    match file {
        Some(file) => names.insert(name.to_owned(), file),
        None => names.remove(name),
    };
}

impl File {
    fn settle(&mut self, fate: Fate) {
        for (_, waiting) in self.changes.iter_mut().filter(|(_, fate)| *fate == Fate::Waiting) {
            *waiting = fate;
        }
        let settled = self.changes.iter().take_while(|(_, fate)| *fate == Fate::Durable);
        for (change, _) in self.changes.drain(..settled.count()) {
            change.apply(&mut self.durable, &vec![true; change.units()]);
        }
    }

    fn image(&self, survival: &mut Survival) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (change, fate) in &self.changes {
            let units = match fate {
                Fate::Durable => vec![true; change.units()],
                Fate::Waiting | Fate::Lost => survival.of(change.units()),
            };
            change.apply(&mut bytes, &units);
        }
        bytes
    }
}

impl Change {
    /// The sectors that a write touches; a new length is there or not.
    fn units(&self) -> usize {
        match self {
            Self::Write { at, bytes } => (at + bytes.len()).div_ceil(SECTOR) - at / SECTOR,
            Self::Truncate(_) => 1,
        }
    }

    /// Does those units of the change that have reached the disk.
    fn apply(&self, file: &mut Vec<u8>, reached: &[bool]) {
        match self {
            Self::Truncate(length) if reached[0] => file.resize(*length, 0),
            Self::Truncate(_) => {}
            Self::Write { at, bytes } => {
                for (unit, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
                    let sector = (at / SECTOR + unit) * SECTOR;
                    let (start, end) = (sector.max(*at), (sector + SECTOR).min(at + bytes.len()));
                    file.resize(file.len().max(end), 0);
                    file[start..end].copy_from_slice(&bytes[start - at..end - at]);
                }
            }
        }
    }
}

/// What of the undecided has reached the disk.
pub enum Survival {
    Nothing,
    Everything,
    /// As many units as this, in order: the last write may be torn.
    First(usize),
    /// A chance selection: some writes whole, some torn, some not at all, whatever their order.
    Some(Random),
}

impl Survival {
    /// Which of the next units have reached the disk.
    fn of(&mut self, units: usize) -> Vec<bool> {
        match self {
            Self::Nothing => vec![false; units],
            Self::Everything => vec![true; units],
            Self::First(left) => (0..units)
                .map(|_| {
                    let reached = *left > 0;
                    *left = left.saturating_sub(1);
                    reached
                })
                .collect(),
            Self::Some(random) => match random.below(3) {
                0 => vec![false; units],
                1 => vec![true; units],
                _ => (0..units).map(|_| random.below(2) == 0).collect(),
            },
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): chance that a seed repeats.
pub struct Random(pub u64);

impl Random {
    /// A number below `end`, which is small.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}
