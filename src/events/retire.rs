//! Knows how the events of a cleared object end: with the "close" that each "open" is owed, and nothing after it.
//! Does not know why it was cleared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::queue::Batch;
use super::{Channel, Event, Source, gate, hub};
use crate::callback;
use crate::error::Unsent;

/// Ends the events of one source for good.
///
/// What waits for a callback is dropped but for the "close", which is delivered before this returns: by the callback thread
/// if it is that one's, on the thread that is the source's home, on the calling thread otherwise and inside callbacks. What waits to be pulled can still be pulled.
pub fn retire(source: &Arc<Source>, code: u16, reason: &str) {
    let channel = source.channel();
    // A client of our own has one to itself.
    let is_alone = channel.server == 0;
    end(channel, vec![source.clone()], is_alone, code, reason);
}

/// The same for all sources of a channel, of which `sources` are open.
pub fn retire_all(channel: &Arc<Channel>, sources: Vec<Arc<Source>>, code: u16, reason: &str) {
    end(channel, sources, true, code, reason);
}

fn end(
    channel: &Arc<Channel>,
    mut sources: Vec<Arc<Source>>,
    whole_channel: bool,
    code: u16,
    reason: &str,
) {
    let tag = channel.tag();
    let unsent = Unsent::default();
    let close = Event::Close {
        code,
        reason,
        remote: false,
        unsent: &unsent,
    };
    if whole_channel {
        channel.silence();
    }
    if !hub().has_callbacks(&tag) {
        for source in &sources {
            source.silence();
            source.posting.wait_until_idle();
            if source.take_open() {
                hub().post(Batch::last(source, &tag, close));
            }
        }
        return;
    }
    for source in &sources {
        source.silence();
        source.posting.wait_until_idle();
    }
    let only = sources.first().cloned();
    let (batches, in_hand) = hub().extract(|source| match (&only, whole_channel) {
        (Some(only), false) => Arc::ptr_eq(source, only),
        _ => Arc::ptr_eq(source.channel(), channel),
    });
    let mut known: HashSet<_> = sources.iter().map(Arc::as_ptr).collect();
    let waiting = batches.iter().map(|batch| &batch.body.source);
    for source in waiting.chain(&in_hand) {
        if known.insert(Arc::as_ptr(source)) {
            sources.push(source.clone());
        }
    }
    // A "close" that was on its way says more than ours.
    let closes: HashMap<_, Event<'_>> = batches
        .iter()
        .filter_map(|batch| Some((Arc::as_ptr(&batch.body.source), batch.close()?)))
        .collect();
    let is_posted = hub().is_threaded(&tag) && !callback::is_inside() && hub().has_caller();
    let mut distant = Vec::new();
    for source in &sources {
        let close = closes.get(&Arc::as_ptr(source)).copied().unwrap_or(close);
        source.take_open();
        if is_posted {
            source.gate.wait_until_idle();
            if source.take_host_knows_open() {
                hub().post(Batch::last(source, &tag, close));
            }
            continue;
        }
        if let Some(home) = hub().distant_home(source, &tag) {
            source.gate.wait_until_idle();
            if source.owe_last_word() {
                hub().post(Batch::last(source, &tag, close));
            }
            distant.push((source, home));
            continue;
        }
        // Held while the last word is said, so that another clear of the same source waits for it.
        let before = source.gate.enter_alone();
        if source.take_host_knows_open() {
            hub().call(source, &tag, close);
        }
        source.gate.leave_to(before);
    }
    drop(closes);
    drop(batches);
    if is_posted {
        for source in &sources {
            // Or it waits to be pulled, because the callbacks were taken away.
            gate::wait_for(None, || {
                !hub().is_on_its_way(source) || !hub().has_callbacks(&tag)
            });
        }
    }
    // Those on whose threads they are to be said may wait for us.
    gate::notify();
    for (source, home) in distant {
        hub().await_last_word(source, &home, &tag);
    }
}
