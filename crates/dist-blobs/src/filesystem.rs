//! What has to be known about file systems: which to refuse, and how a folder is made durable.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Once;

use rustix::fs::{FsWord, StatFs};
use rustix::io::Errno;

use crate::BlobError;

/// File systems whose bytes are on another machine, by the magic number that `statfs` gives.
///
/// 9p is not among them: it is also how virtual machines and gVisor show a local disk.
const NETWORK_MAGIC: [(FsWord, &str); 7] = [
    (0x6969, "nfs"),
    (0x517B, "smbfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x7375_7245, "coda"),
];
const FUSE_MAGIC: FsWord = 0x6573_5546;
/// FUSE file systems that talk to another machine; the rest (`fuse.ntfs-3g` …) are local.
const NETWORK_FUSE: [&str; 9] = [
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.rclone",
    "fuse.goofys",
    "fuse.davfs",
    "fuse.curlftpfs",
    "fuse.glusterfs",
    "fuse.ceph-fuse",
];

/// The name of the network file system that `folder` is on; `None` where it is local.
pub(crate) fn network_kind(folder: impl AsFd) -> Result<Option<String>, Errno> {
    let StatFs { f_type, .. } = rustix::fs::fstatfs(&folder)?;
    if f_type == FUSE_MAGIC {
        let device = rustix::fs::fstat(&folder)?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        // Without /proc the kind of a FUSE mount cannot be told; most are local.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let kind = mount_kind(&mounts, &format!("{major}:{minor}"));
        return Ok(kind.filter(|kind| NETWORK_FUSE.contains(kind)).map(str::to_owned));
    }
    let known = NETWORK_MAGIC.iter().find(|(magic, _)| *magic == f_type);
    Ok(known.map(|(_, name)| (*name).to_owned()))
}

/// The type of the mount with this `major:minor` in the text of `/proc/self/mountinfo`.
fn mount_kind<'a>(mountinfo: &'a str, device: &str) -> Option<&'a str> {
    let line = mountinfo.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    line.split_once(" - ")?.1.split(' ').next()
}

/// Makes the names in `folder` durable. Some file systems cannot, and say so once in the log: there
/// a power cut may lose the newest names, while an I/O error is always an error.
pub(crate) fn sync_directory(folder: impl AsFd) -> Result<(), Errno> {
    static UNSUPPORTED: Once = Once::new();
    match rustix::fs::fsync(folder) {
        Err(errno @ (Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)) => {
            UNSUPPORTED.call_once(|| {
                tracing::warn!(%errno, "this file system cannot fsync folders: a power cut may lose the newest files");
            });
            Ok(())
        }
        result => result,
    }
}

/// Makes the names of the files in `folder` durable, for whoever copied objects into it.
pub fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    let name = folder.display();
    let opened = File::open(folder).map_err(|source| BlobError::Io {
        action: "open",
        name: name.to_string(),
        source,
    })?;
    sync_directory(opened).map_err(BlobError::io("sync", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mounts = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 21 0:35 / /mnt/far rw,nosuid shared:20 master:3 - fuse.sshfs user@host:/ rw,user_id=0
41 21 0:36 / /mnt/near rw - fuse.ntfs-3g /dev/sdb1 rw
";
        assert_eq!(mount_kind(mounts, "0:35"), Some("fuse.sshfs"));
        assert_eq!(mount_kind(mounts, "0:36"), Some("fuse.ntfs-3g"));
        assert_eq!(mount_kind(mounts, "8:1"), Some("ext4"));
        assert_eq!(mount_kind(mounts, "9:9"), None);
    }

    #[test]
    fn a_temporary_folder_is_local() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_kind(File::open(folder.path()).unwrap()).unwrap(), None);
    }
}
