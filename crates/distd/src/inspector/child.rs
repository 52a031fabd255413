//! The inspecting process: it gives up what it does not need, and serves until the server is gone.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use dist_inspect::{Context, FileSource, Limits, inspect};
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::{NAME, wire};

/// Behind whatever serves people.
const PRIORITY: i32 = 10;
/// Standard input, output and error, the socket, and the file that is inspected.
const DESCRIPTORS: u64 = 5;

/// Inspects for a server until it is gone, if that is what this process was started for. A program
/// that starts a server calls it before anything else.
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
    confine(memory)?;
    while let Some((request, file)) = wire::receive(&socket)? {
        allow_cpu(request.time_ms)?;
        let context = Context {
            limits: Limits {
                // Less than the server waits, so that what was found by then is said.
                time: Duration::from_millis(request.time_ms / 4 * 3),
                ..Limits::default()
            },
            now: request.now,
        };
        let inspected = FileSource::new(&file).and_then(|source| inspect(&source, &request.name, &context));
        socket.write_all(&wire::Answer::new(inspected).bytes()?)?;
    }
    Ok(())
}

/// Takes away what no inspection needs: much memory, writing files, opening any, other processes,
/// and a core dump of somebody's app.
fn confine(memory: u64) -> io::Result<()> {
    let limits = [
        (Resource::As, memory),
        (Resource::Fsize, 0),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        limit(resource, most, Some(most))?;
    }
    Ok(setpriority_process(None, PRIORITY)?)
}

/// Lets the next file take so much of the processor. The server kills what takes too long; this
/// ends what the server did not live to kill.
fn allow_cpu(time_ms: u64) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let seconds = u64::try_from(used).unwrap_or(0) + time_ms.div_ceil(1000) + 1;
    limit(Resource::Cpu, seconds, None)
}

fn limit(resource: Resource, current: u64, maximum: Option<u64>) -> io::Result<()> {
    let current = Some(current);
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}
