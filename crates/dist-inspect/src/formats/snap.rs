//! Snaps.

use super::{Otherwise, Row, nothing_more};
use crate::Format;

/// Any squashfs starts as a snap does, so the name has its say.
pub(super) static SNAP: Row = Row {
    format: Format::Snap,
    package_type: "snap",
    content_type: "application/vnd.snap",
    extensions: &["snap"],
    recognises: |subject| subject.starts_with(b"hsqs") && subject.is_named(SNAP.extensions),
    otherwise: Otherwise::Bytes("snap.not_a_squashfs", "A snap is a squashfs image, and this is none."),
    describe: nothing_more,
};
