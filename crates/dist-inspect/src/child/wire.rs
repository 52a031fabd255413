//! What a program and its inspecting process say to each other: a request is a line of JSON with the
//! file's descriptor beside it, an answer is a line of JSON with the icon's bytes after it.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::{Icon, Inspection, Report};

/// How long an answer may be: far above a report of every fact at its longest, and an icon.
pub(super) const MOST_BYTES: u64 = 32 << 20;
/// How long a request may be: a file name is 255 bytes at most, and JSON spells one as six.
const REQUEST_BYTES: usize = 4096;
/// How long an icon may be.
const ICON_BYTES: usize = 4 << 20;
/// An icon is at most so wide and high, in pixels.
const ICON_PIXELS: u32 = 512;

/// What is to be done with a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    /// The time, in milliseconds since the Unix epoch.
    pub(super) now: i64,
    /// How long it may take.
    pub(super) time_ms: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer(Result<Inspection, String>);

/// The line of an answer: the report with what its own JSON leaves out, or why the file cannot be
/// read.
type Line = Result<Head, String>;

#[derive(Serialize, Deserialize)]
struct Head {
    report: Report,
    package_type: String,
    arch: Option<String>,
    content_type: String,
    icon: Option<IconHead>,
}

#[derive(Serialize, Deserialize)]
struct IconHead {
    width: u32,
    height: u32,
    bytes: usize,
}

/// Sends a request and the file that it is about.
pub(super) fn send(socket: &UnixStream, request: &Request, file: &File) -> io::Result<()> {
    let line = serde_json::to_vec(request)?;
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&files));
    let sent = sendmsg(socket, &[IoSlice::new(&line)], &mut beside, SendFlags::NOSIGNAL)?;
    if sent < line.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Waits for a request; `None` where nobody asks any more.
pub(super) fn receive(socket: &UnixStream) -> io::Result<Option<(Request, File)>> {
    let mut line = [0; REQUEST_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    // One request is sent at a time and waited for, so that one comes whole or not at all.
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut line)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let files = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let file = files.flatten().next().ok_or(io::ErrorKind::InvalidData)?;
    let request = serde_json::from_slice(&line[..received.bytes])?;
    Ok(Some((request, File::from(file))))
}

impl Answer {
    pub(super) fn new(inspected: io::Result<Inspection>) -> Self {
        Self(inspected.map_err(|error| error.to_string()))
    }

    /// The bytes that say it.
    pub(super) fn bytes(self) -> io::Result<Vec<u8>> {
        let (line, icon): (Line, _) = match self.0 {
            Err(error) => (Err(error), Vec::new()),
            Ok(Inspection { report, icon }) => {
                let head = Head {
                    package_type: report.package_type.to_string(),
                    arch: report.arch.clone(),
                    content_type: report.content_type.to_string(),
                    icon: icon.as_ref().map(|icon| IconHead {
                        width: icon.width,
                        height: icon.height,
                        bytes: icon.png.len(),
                    }),
                    report,
                };
                (Ok(head), icon.map(|icon| icon.png).unwrap_or_default())
            }
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        bytes.extend(icon);
        Ok(bytes)
    }

    /// Reads an answer whose line was read. It comes from a process that may be unwell, so it is
    /// checked.
    pub(super) fn read(line: &[u8], rest: &mut impl Read) -> io::Result<Self> {
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head = match serde_json::from_slice::<Line>(line)? {
            Ok(head) => head,
            Err(error) => return Ok(Self(Err(error))),
        };
        let icon = match head.icon {
            None => None,
            Some(IconHead { width, height, bytes }) => {
                if bytes > ICON_BYTES || width > ICON_PIXELS || height > ICON_PIXELS {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let mut png = vec![0; bytes];
                rest.read_exact(&mut png)?;
                if !png.starts_with(b"\x89PNG\r\n\x1a\n") {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Some(Icon { png, width, height })
            }
        };
        let report = Report {
            package_type: head.package_type.into(),
            arch: head.arch,
            content_type: head.content_type.into(),
            ..head.report
        };
        Ok(Self(Ok(Inspection { report, icon })))
    }

    pub(super) fn into_inspection(self) -> io::Result<Inspection> {
        self.0.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Answer> {
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |at| at + 1);
        Answer::read(&bytes[..end], &mut &bytes[end..])
    }

    fn inspection(png: &[u8]) -> Inspection {
        let mut report = crate::claim("acme-linux-arm64.tar.gz");
        report.warning("a.b", "Line one\nand two.", "Help.");
        let (png, width, height) = (png.to_vec(), 2, 1);
        Inspection {
            report,
            icon: Some(Icon { png, width, height }),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_said() {
        let said = inspection(b"\x89PNG\r\n\x1a\n...");
        let bytes = Answer::new(Ok(said.clone())).bytes().unwrap();
        assert_eq!(read(&bytes).unwrap().into_inspection().unwrap(), said);
        let bytes = Answer::new(Err(io::Error::other("gone"))).bytes().unwrap();
        assert_eq!(read(&bytes).unwrap().into_inspection().unwrap_err().to_string(), "gone");
    }

    #[test]
    fn half_an_answer_is_none() {
        let bytes = Answer::new(Ok(inspection(b"\x89PNG\r\n\x1a\n..."))).bytes().unwrap();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        assert!(read(b"so it goes\n").is_err());
        let not_a_png = Answer::new(Ok(inspection(b"GIF89a"))).bytes().unwrap();
        assert!(read(&not_a_png).is_err());
    }
}
