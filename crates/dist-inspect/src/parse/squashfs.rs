//! Squashfs images, by position.
//! Source: the description of version 4.0 in `Documentation/filesystems/squashfs.rst` of Linux, and
//! <https://dr-emann.github.io/squashfs/>.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::lz;
use super::tree::{Children, Tree};
use crate::archive::compress::{Compression, Decoder};
use crate::source::Source;
use crate::{Budget, Refusal};

/// How an image starts.
pub const MAGIC: &[u8] = b"hsqs";

/// The size of the superblock, and of an unpacked block of metadata.
const SUPERBLOCK: u64 = 96;
const METADATA: usize = 8 << 10;
/// How large the blocks of files may be, in bytes.
const BLOCKS: std::ops::RangeInclusive<u32> = 4 << 10..=1 << 20;
/// How long the list of a folder may be, in bytes: some ten thousand names.
const FOLDER: u32 = 1 << 20;
/// No fragment.
const NONE: u32 = u32::MAX;

/// An image.
pub struct Squashfs<'a> {
    source: &'a dyn Source,
    budget: &'a Budget,
    compression: u16,
    block_size: u32,
    root: u64,
    bytes_used: u64,
    inode_table: u64,
    directory_table: u64,
    fragment_table: u64,
}

/// Where the description of a node stands: its block in the table, and the place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode(u64);

/// What a node is, as far as it is looked at.
enum Node {
    Folder { block: u32, offset: u16, size: u32 },
    File(File),
    Symlink(Vec<u8>),
    Other,
}

/// Where the bytes of a file stand.
struct File {
    start: u64,
    size: u64,
    fragment: u32,
    offset: u32,
    /// The sizes of its blocks follow.
    sizes: Metadata,
}

impl<'a> Squashfs<'a> {
    /// Reads the superblock; whether what it tells is there shows later.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::Truncated`].
    pub fn open(source: &'a dyn Source, budget: &'a Budget) -> Result<Self, Refusal> {
        let superblock = source.bytes(0..SUPERBLOCK, SUPERBLOCK)?;
        let fields = Fields(&superblock);
        if !superblock.starts_with(MAGIC) {
            return Err(malformed("it does not start as one does"));
        }
        let (major, minor) = (fields.u16(28), fields.u16(30));
        if (major, minor) != (4, 0) {
            return Err(malformed(format!("its version is {major}.{minor}")));
        }
        let block_size = fields.u32(12);
        if !BLOCKS.contains(&block_size) {
            return Err(malformed(format!("its blocks have {block_size} bytes")));
        }
        Ok(Self {
            source,
            budget,
            compression: fields.u16(20),
            block_size,
            root: fields.u64(32),
            bytes_used: fields.u64(40),
            inode_table: fields.u64(64),
            directory_table: fields.u64(72),
            fragment_table: fields.u64(80),
        })
    }

    /// What it is compressed by, as `mksquashfs` calls it.
    pub fn compression(&self) -> Option<&'static str> {
        let names = ["gzip", "lzma", "lzo", "xz", "lz4", "zstd"];
        names.get(usize::from(self.compression.checked_sub(1)?)).copied()
    }

    /// Whether there are fewer bytes than it says.
    pub fn is_cut(&self) -> bool {
        self.bytes_used > self.source.len()
    }

    /// Unpacks a block that becomes `limit` bytes at most.
    fn unpack(&self, packed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
        let decoder = |compression| Decoder::new(packed, compression, self.budget).read_all(limit as u64);
        let unpacked = match self.compression {
            1 => {
                let mut unpacked = Vec::new();
                ZlibDecoder::new(packed).take(limit as u64).read_to_end(&mut unpacked)?;
                unpacked
            }
            2 => return decoder(Compression::Lzma),
            3 => lz::lzo(packed, limit)?,
            4 => return decoder(Compression::Xz),
            5 => lz::lz4(packed, limit)?,
            6 => return decoder(Compression::Zstd),
            method => {
                let name = "squashfs".to_owned();
                return Err(Refusal::MethodUnknown { name, method });
            }
        };
        self.budget.take(unpacked.len() as u64)?;
        Ok(unpacked)
    }

    /// The block of metadata at a place, and where the next one is.
    fn metadata_block(&self, place: u64) -> Result<(Vec<u8>, u64), Refusal> {
        self.budget.step()?;
        let start = place.saturating_add(2);
        let header = Fields(&self.source.bytes(place..start, 2)?).u16(0);
        let end = start.saturating_add(u64::from(header & 0x7FFF));
        let packed = self.source.bytes(start..end, 1 << 15)?;
        // The highest bit says that it is not compressed.
        let unpacked = if header & 0x8000 == 0 {
            self.unpack(&packed, METADATA)?
        } else {
            packed
        };
        if unpacked.is_empty() {
            return Err(malformed("a block of metadata is empty"));
        }
        Ok((unpacked, end))
    }

    /// Metadata from the place `offset` of the block at `block` on.
    fn metadata(&self, table: u64, block: u64, offset: usize) -> Result<Metadata, Refusal> {
        let place = table.checked_add(block).ok_or(Refusal::Truncated)?;
        let mut metadata = Metadata {
            next: place,
            bytes: Vec::new(),
            read: 0,
        };
        self.take(&mut metadata, offset)?;
        Ok(metadata)
    }

    /// The next `count` bytes.
    fn take(&self, metadata: &mut Metadata, count: usize) -> Result<Vec<u8>, Refusal> {
        if metadata.bytes.len() - metadata.read < count {
            metadata.bytes.drain(..metadata.read);
            metadata.read = 0;
        }
        let end = metadata.read + count;
        while metadata.bytes.len() < end {
            let (bytes, next) = self.metadata_block(metadata.next)?;
            metadata.bytes.extend(bytes);
            metadata.next = next;
        }
        let taken = metadata.bytes[metadata.read..end].to_vec();
        metadata.read = end;
        Ok(taken)
    }

    /// What stands about a node in the table.
    fn node(&self, inode: Inode) -> Result<Node, Refusal> {
        const HEADER: usize = 16;
        let mut metadata = self.metadata(self.inode_table, inode.0 >> 16, usize::from(low(inode.0)))?;
        let kind = Fields(&self.take(&mut metadata, HEADER)?).u16(0);
        // Each kind has a short and a long form.
        let length = [0, 16, 16, 8, 0, 0, 0, 0, 24, 40, 8]
            .get(usize::from(kind))
            .copied()
            .unwrap_or(0);
        let body = self.take(&mut metadata, length)?;
        let fields = Fields(&body);
        Ok(match kind {
            1 => Node::Folder {
                block: fields.u32(0),
                offset: fields.u16(10),
                size: u32::from(fields.u16(8)),
            },
            8 => Node::Folder {
                block: fields.u32(8),
                offset: fields.u16(18),
                size: fields.u32(4),
            },
            2 => Node::File(File {
                start: u64::from(fields.u32(0)),
                size: u64::from(fields.u32(12)),
                fragment: fields.u32(4),
                offset: fields.u32(8),
                sizes: metadata,
            }),
            9 => Node::File(File {
                start: fields.u64(0),
                size: fields.u64(8),
                fragment: fields.u32(28),
                offset: fields.u32(32),
                sizes: metadata,
            }),
            3 | 10 => {
                let length = fields.u32(4) as usize;
                if length > self.budget.limits().path_bytes {
                    return Err(Refusal::PathTooLong {
                        limit: self.budget.limits().path_bytes,
                    });
                }
                Node::Symlink(self.take(&mut metadata, length)?)
            }
            _ => Node::Other,
        })
    }

    /// The last part of a file, which stands in a block with those of others.
    fn fragment(&self, file: &File, size: usize) -> Result<Vec<u8>, Refusal> {
        /// How many fragments a block of metadata describes, and the size of each description.
        const DESCRIBED: u32 = 512;
        const DESCRIPTION: usize = 16;
        let pointer = self
            .fragment_table
            .saturating_add(u64::from(file.fragment / DESCRIBED) * 8);
        let block = Fields(&self.source.bytes(pointer..pointer.saturating_add(8), 8)?).u64(0);
        let mut metadata = self.metadata(block, 0, (file.fragment % DESCRIBED) as usize * DESCRIPTION)?;
        let description = self.take(&mut metadata, DESCRIPTION)?;
        let fields = Fields(&description);
        let (block, _) = self.data_block(fields.u64(0), fields.u32(8))?;
        let start = file.offset as usize;
        let part = block.get(start..start.saturating_add(size));
        part.map(<[u8]>::to_vec).ok_or(Refusal::Truncated)
    }

    /// A block of a file, and where the next one is.
    fn data_block(&self, place: u64, size: u32) -> Result<(Vec<u8>, u64), Refusal> {
        const PLAIN: u32 = 1 << 24;
        self.budget.step()?;
        let end = place.saturating_add(u64::from(size & (PLAIN - 1)));
        let packed = self.source.bytes(place..end, u64::from(self.block_size))?;
        if size & PLAIN != 0 {
            return Ok((packed, end));
        }
        Ok((self.unpack(&packed, self.block_size as usize)?, end))
    }

    fn read_file(&self, mut file: File, limit: u64) -> Result<Vec<u8>, Refusal> {
        if file.size > limit {
            return Err(Refusal::TooLarge { limit });
        }
        let size = usize::try_from(file.size).map_err(|_| Refusal::TooLarge { limit })?;
        let mut bytes = Vec::new();
        let mut place = file.start;
        while bytes.len() < size {
            let left = size - bytes.len();
            let wanted = left.min(self.block_size as usize);
            if left < self.block_size as usize && file.fragment != NONE {
                bytes.extend(self.fragment(&file, left)?);
                break;
            }
            let packed = Fields(&self.take(&mut file.sizes, 4)?).u32(0);
            if packed == 0 {
                // A hole.
                self.budget.take(wanted as u64)?;
                bytes.resize(bytes.len() + wanted, 0);
                continue;
            }
            let (block, end) = self.data_block(place, packed)?;
            if block.len() != wanted {
                return Err(malformed("a block of a file has another size"));
            }
            bytes.extend(block);
            place = end;
        }
        Ok(bytes)
    }
}

impl Tree for Squashfs<'_> {
    type Node = Inode;

    fn root(&self) -> Result<Inode, Refusal> {
        Ok(Inode(self.root))
    }

    fn children(&self, folder: &Inode) -> Result<Children<Inode>, Refusal> {
        let mut children = Vec::new();
        let Node::Folder { block, offset, size } = self.node(*folder)? else {
            return Ok(children);
        };
        let mut metadata = self.metadata(self.directory_table, block.into(), offset.into())?;
        if size > FOLDER {
            return Err(Refusal::TooLarge { limit: FOLDER.into() });
        }
        // The size counts `.` and `..`, which are not there.
        let mut left = size.saturating_sub(3) as usize;
        while left > 0 {
            let header = self.take(&mut metadata, 12)?;
            let header = Fields(&header);
            left = left.saturating_sub(12);
            for _ in 0..=header.u32(0) {
                self.budget.step()?;
                let entry = self.take(&mut metadata, 8)?;
                let entry = Fields(&entry);
                let length = usize::from(entry.u16(6)) + 1;
                let name = self.take(&mut metadata, length)?;
                children.push((name, Inode(u64::from(header.u32(4)) << 16 | u64::from(entry.u16(0)))));
                left = left
                    .checked_sub(8 + length)
                    .ok_or_else(|| malformed("a folder has another size"))?;
            }
        }
        Ok(children)
    }

    fn target(&self, node: &Inode) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(match self.node(*node)? {
            Node::Symlink(target) => Some(target),
            _ => None,
        })
    }

    fn bytes(&self, node: &Inode, limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
        match self.node(*node)? {
            Node::File(file) => self.read_file(file, limit).map(Some),
            _ => Ok(None),
        }
    }
}

/// Unpacked metadata, how much of it was read, and where the block after it stands.
struct Metadata {
    next: u64,
    bytes: Vec<u8>,
    read: usize,
}

/// The lower half of a place in a table.
fn low(inode: u64) -> u16 {
    let [low, high, ..] = inode.to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn malformed(why: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("squashfs", why)
}

/// Little-endian numbers at places; zero outside.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, place: usize) -> [u8; N] {
        let found = self.0.get(place..).and_then(<[u8]>::first_chunk);
        found.copied().unwrap_or([0; N])
    }

    fn u16(&self, place: usize) -> u16 {
        u16::from_le_bytes(self.array(place))
    }

    fn u32(&self, place: usize) -> u32 {
        u32::from_le_bytes(self.array(place))
    }

    fn u64(&self, place: usize) -> u64 {
        u64::from_le_bytes(self.array(place))
    }
}

#[cfg(test)]
mod tests;
