//! The inspecting process: it gives up what it does not need, and serves until whoever started it is
//! gone.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::{NAME, wire};
use crate::{Context, FileSource, Limits, inspect};

/// Behind whatever serves people.
const PRIORITY: i32 = 10;

/// Inspects until whoever asks is gone, if that is what this process was started for. A program with a
/// [`ChildInspector`](super::ChildInspector) of its own calls it before anything else.
pub fn run_if_inspector() -> Option<ExitCode> {
    let mut arguments = std::env::args();
    if arguments.next()? != NAME {
        return None;
    }
    let memory = arguments.next().and_then(|text| text.parse().ok());
    let served = match memory {
        Some(memory) => serve(memory),
        None => Err(io::ErrorKind::InvalidInput.into()),
    };
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn serve(memory: u64) -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The number that each file gets: above those of what was open when the program was started.
    let file = socket.try_clone()?.as_raw_fd();
    confine(memory, u64::from(file.unsigned_abs()) + 1)?;
    while let Some((request, file)) = wire::receive(&socket)? {
        allow_cpu(request.time_ms)?;
        let context = Context {
            limits: Limits {
                // Less than is waited for it, so that what was found by then is said.
                time: Duration::from_millis(request.time_ms / 4 * 3),
                ..Limits::default()
            },
            now: request.now,
        };
        let inspected = FileSource::new(&file).and_then(|source| inspect(&source, &request.name, &context));
        // This says nothing of the file. A process that was not there for others may have enough.
        if let Err(error) = &inspected
            && error.kind() == io::ErrorKind::OutOfMemory
        {
            return inspected.map(drop);
        }
        socket.write_all(&wire::Answer::new(inspected).bytes()?)?;
    }
    Ok(())
}

/// Takes away what no inspection needs: much memory, writing files, opening more than one, other
/// processes, and a core dump of somebody's app.
fn confine(memory: u64, descriptors: u64) -> io::Result<()> {
    let limits = [
        (Resource::As, memory),
        (Resource::Fsize, 0),
        (Resource::Nofile, descriptors),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        limit(resource, most, Some(most))?;
    }
    // Only root may go back to the front.
    Ok(setpriority_process(None, getpriority_process(None)?.max(PRIORITY))?)
}

/// Lets the next file take so much of the processor. What takes too long is killed; this ends
/// what nobody lived to kill.
fn allow_cpu(time_ms: u64) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let seconds = u64::try_from(used).unwrap_or(0) + time_ms.div_ceil(1000) + 1;
    limit(Resource::Cpu, seconds, None)
}

/// Sets a limit, or leaves it as low as it was: only root may raise one.
fn limit(resource: Resource, current: u64, maximum: Option<u64>) -> io::Result<()> {
    let standing = getrlimit(resource).maximum;
    let maximum = maximum.into_iter().chain(standing).min();
    let current = Some(maximum.map_or(current, |maximum| maximum.min(current)));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}
