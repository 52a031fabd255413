//! What a hub promises to those who publish, and to their subscribers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::{amount, stream};
use persist::{Error, Hub, InvalidInput, MemoryLog, Revision, StreamName, log};

/// A hub, and what its callbacks write down.
fn hub() -> (Hub, Arc<Mutex<Vec<String>>>) {
    (Hub::new(Arc::new(MemoryLog::default())), Arc::default())
}

/// A callback that writes down its name and the event's revision.
fn note(name: &'static str, notes: &Arc<Mutex<Vec<String>>>) -> impl Fn(&persist::Recorded) + use<> {
    let notes = Arc::clone(notes);
    move |recorded| notes.lock().unwrap().push(format!("{name}{}", recorded.event.seq))
}

#[test]
fn subscribers_are_called_in_the_order_in_which_they_came() {
    let (hub, notes) = hub();
    let s = stream("s");
    hub.subscribe(&s, note("a", &notes));
    let b = hub.subscribe(&s, note("b", &notes));
    hub.clone().subscribe(&s, note("c", &notes));
    hub.publish(&s, amount(1)).unwrap();
    hub.unsubscribe(&b);
    hub.unsubscribe(&b);
    hub.publish(&s, amount(1)).unwrap();
    assert_eq!(*notes.lock().unwrap(), ["a1", "b1", "c1", "a2", "c2"]);
    assert_eq!(hub.subscriber_count(&s), 2);
}

#[test]
fn a_plain_append_reaches_no_subscriber() {
    let (hub, notes) = hub();
    let s = stream("s");
    hub.subscribe(&s, note("a", &notes));
    log::append(&**hub.backend(), &s, amount(1)).unwrap();
    hub.publish(&s, amount(1)).unwrap();
    assert_eq!(*notes.lock().unwrap(), ["a2"]);
}

#[test]
fn what_is_not_appended_reaches_no_subscriber() {
    let (hub, notes) = hub();
    let global = StreamName::global();
    hub.subscribe(&global, note("a", &notes));
    let refused = hub.publish(&global, amount(1));
    assert!(matches!(refused, Err(Error::Invalid(InvalidInput::ReservedStream(_)))));
    assert!(notes.lock().unwrap().is_empty());
}

#[test]
fn a_panic_in_a_callback_is_its_own_affair() {
    let (hub, notes) = hub();
    let s = stream("s");
    hub.subscribe(&s, |_| panic!("asked to"));
    hub.subscribe(&s, note("b", &notes));
    for _ in 0..2 {
        hub.publish(&s, amount(1)).unwrap();
    }
    assert_eq!(*notes.lock().unwrap(), ["b1", "b2"]);
}

#[test]
fn a_callback_may_use_the_hub() {
    let (hub, notes) = hub();
    let (s, echoes) = (stream("s"), stream("echoes"));
    let (inner, later, echo) = (hub.clone(), Arc::clone(&notes), echoes.clone());
    let id = hub.subscribe(&s, move |recorded| {
        assert_eq!(
            log::last_seq(&**inner.backend(), &recorded.event.stream).unwrap(),
            recorded.event.seq
        );
        inner.subscribe(&recorded.event.stream, note("later", &later));
        inner.publish(&echo, amount(1)).unwrap();
    });
    hub.subscribe(&echoes, note("echo", &notes));
    hub.publish(&s, amount(1)).unwrap();
    // Who subscribes during a publication hears of the next.
    assert_eq!(*notes.lock().unwrap(), ["echo1"]);
    hub.unsubscribe(&id);
    hub.publish(&s, amount(1)).unwrap();
    assert_eq!(*notes.lock().unwrap(), ["echo1", "later2"]);
    assert_eq!(log::last_seq(&**hub.backend(), &echoes).unwrap(), Revision::FIRST);
}
