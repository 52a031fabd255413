//! An access-control list on an event log. `cargo run -p persist --example acl [FILE]` keeps it in
//! a file, where the second run finds what the first one wrote; without one it is in memory.
#![allow(clippy::print_stdout)]

mod acl;

use std::error::Error;
use std::sync::Arc;

use persist::{AsOf, Backend, Hub, Options, SqlStore, project};

use self::acl::{Access, audit, can, grant, grants, principals, revoke, stream, view};

fn main() -> Result<(), Box<dyn Error>> {
    let store = match std::env::args_os().nth(1) {
        Some(path) => SqlStore::open(path, Options::default())?,
        None => SqlStore::in_memory(Options::default())?,
    };
    println!("at the start: {:?} may deploy", grants(&store, "deploy")?);

    grant(&store, "deploy", "ada", 1000)?;
    grant(&store, "deploy", "grace", 2000)?;
    revoke(&store, "deploy", "ada", 3000)?;
    println!(
        "ada: {}, grace: {}",
        can(&store, "deploy", "ada")?,
        can(&store, "deploy", "grace")?
    );

    let then = project::as_of(&store, &stream("deploy")?, &principals(), AsOf::At(2500))?;
    println!("at 2500: {then:?}");
    for recorded in audit(&store, "deploy", 1000, 2000)? {
        println!(
            "  {} {} {}",
            recorded.event.at, recorded.event.r#type, recorded.event.data
        );
    }

    // A view that follows what is published, for pages that are looked at all day.
    let backend: Arc<dyn Backend> = Arc::new(store.clone());
    let hub = Hub::new(backend);
    let deployers = Arc::new(view("deploy")?);
    deployers.attach(&hub);
    hub.publish(&stream("deploy")?, Access::granted("linus", 4000)?)?;
    println!("at the end: {:?} may deploy", deployers.peek(&store)?);
    Ok(())
}
