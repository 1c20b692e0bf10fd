//! Queues without tenants: first in, first out.

use super::{Entry, Exit, Parking, Payload, Setup, Sleeper, Stalling, System};
use crossbeam_queue::ArrayQueue;
use parking_lot::Mutex;
use std::time::Duration;
use thingbuf::ThingBuf;

pub(crate) const ARRAY_QUEUE: &str = "crossbeam ArrayQueue";
pub(crate) const CHANNEL: &str = "crossbeam channel";
pub(crate) const RTRB: &str = "rtrb";
pub(crate) const THINGBUF: &str = "thingbuf";
pub(crate) const KANAL: &str = "kanal";
pub(crate) const FLUME: &str = "flume";
pub(crate) const TOKIO: &str = "tokio mpsc";

/// An entry that takes every tenant's jobs alike.
struct Push<F>(F);

impl<F: FnMut(Payload) -> bool> Entry for Push<F> {
    #[inline]
    fn offer(&mut self, _tenant: u32, _cost: u32, payload: Payload) -> bool {
        self.0(payload)
    }
}

/// An exit that takes one job at a time.
struct Pop<F>(F);

impl<F: FnMut() -> Option<Payload>> Exit for Pop<F> {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(payload) = self.0()
        {
            taken += 1;
            sink(payload);
        }
        taken
    }
}

/// crossbeam's bounded queue for many producers and many consumers.
pub(crate) struct CrossbeamArrayQueue(ArrayQueue<Payload>);

impl CrossbeamArrayQueue {
    pub(crate) fn new(setup: &Setup) -> Self {
        CrossbeamArrayQueue(ArrayQueue::new(setup.capacity))
    }
}

impl System for CrossbeamArrayQueue {
    fn name(&self) -> &'static str {
        ARRAY_QUEUE
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.0.push(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        Pop(|| self.0.pop())
    }
}

/// crossbeam's bounded channel; the only FIFO here whose consumer also sleeps.
pub(crate) struct CrossbeamChannel {
    sender: crossbeam_channel::Sender<Payload>,
    receiver: crossbeam_channel::Receiver<Payload>,
}

impl CrossbeamChannel {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(setup.capacity);
        CrossbeamChannel { sender, receiver }
    }
}

impl System for CrossbeamChannel {
    fn name(&self) -> &'static str {
        CHANNEL
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.sender.try_send(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        Pop(|| self.receiver.try_recv().ok())
    }
}

impl Parking for CrossbeamChannel {
    fn sleeper(&self) -> impl Sleeper {
        Receive(&self.receiver)
    }
}

struct Receive<'a>(&'a crossbeam_channel::Receiver<Payload>);

impl Exit for Receive<'_> {
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        Pop(|| self.0.try_recv().ok()).take(most, sink)
    }
}

impl Sleeper for Receive<'_> {
    fn wait(&mut self, limit: Duration, sink: &mut impl FnMut(Payload)) -> usize {
        self.0.recv_timeout(limit).map(sink).is_ok().into()
    }
}

/// One producer, one consumer: the limit of what a queue can do. Each end is locked once a run.
pub(crate) struct Rtrb {
    producer: Mutex<rtrb::Producer<Payload>>,
    consumer: Mutex<rtrb::Consumer<Payload>>,
}

impl Rtrb {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (producer, consumer) = rtrb::RingBuffer::new(setup.capacity);
        Rtrb { producer: Mutex::new(producer), consumer: Mutex::new(consumer) }
    }
}

impl System for Rtrb {
    fn name(&self) -> &'static str {
        RTRB
    }

    fn entry(&self) -> impl Entry {
        let mut producer = self.producer.lock();
        Push(move |payload| producer.push(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        let mut consumer = self.consumer.lock();
        Pop(move || consumer.pop().ok())
    }
}

/// thingbuf's lock-free queue of reused slots.
pub(crate) struct Thingbuf(ThingBuf<Payload>);

impl Thingbuf {
    pub(crate) fn new(setup: &Setup) -> Self {
        Thingbuf(ThingBuf::new(setup.capacity))
    }
}

impl System for Thingbuf {
    fn name(&self) -> &'static str {
        THINGBUF
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.0.push(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        Pop(|| self.0.pop())
    }
}

/// What a stalled producer publishes in the end: thingbuf has no way to give a place up.
const LEFT: Payload = Payload { number: u64::MAX, tenant: 0 };

impl Stalling for Thingbuf {
    fn stall(&self, _tenant: u32) -> impl Sized {
        let mut place = self.0.push_ref().expect("an empty queue has room");
        *place = LEFT;
        place
    }

    fn exit_past_stalls(&self) -> impl Exit {
        Pop(|| self.0.pop().filter(|payload| *payload != LEFT))
    }
}

/// kanal's bounded channel.
pub(crate) struct Kanal {
    sender: kanal::Sender<Payload>,
    receiver: kanal::Receiver<Payload>,
}

impl Kanal {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (sender, receiver) = kanal::bounded(setup.capacity);
        Kanal { sender, receiver }
    }
}

impl System for Kanal {
    fn name(&self) -> &'static str {
        KANAL
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.sender.try_send(payload).is_ok_and(|sent| sent))
    }

    fn exit(&self) -> impl Exit {
        Pop(|| self.receiver.try_recv().ok().flatten())
    }
}

/// flume's bounded channel.
pub(crate) struct Flume {
    sender: flume::Sender<Payload>,
    receiver: flume::Receiver<Payload>,
}

impl Flume {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (sender, receiver) = flume::bounded(setup.capacity);
        Flume { sender, receiver }
    }
}

impl System for Flume {
    fn name(&self) -> &'static str {
        FLUME
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.sender.try_send(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        Pop(|| self.receiver.try_recv().ok())
    }
}

/// tokio's bounded channel, without a runtime. The receiving end is locked once a run.
pub(crate) struct TokioMpsc {
    sender: tokio::sync::mpsc::Sender<Payload>,
    receiver: Mutex<tokio::sync::mpsc::Receiver<Payload>>,
}

impl TokioMpsc {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (sender, receiver) = tokio::sync::mpsc::channel(setup.capacity);
        TokioMpsc { sender, receiver: Mutex::new(receiver) }
    }
}

impl System for TokioMpsc {
    fn name(&self) -> &'static str {
        TOKIO
    }

    fn entry(&self) -> impl Entry {
        Push(|payload| self.sender.try_send(payload).is_ok())
    }

    fn exit(&self) -> impl Exit {
        let mut receiver = self.receiver.lock();
        Pop(move || receiver.try_recv().ok())
    }
}
