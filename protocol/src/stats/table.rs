//! Every number that is kept, declared once: name in the code, id for machines, unit, and one sentence.

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Things or events.
    Count,
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
}

impl Unit {
    /// The unit's name, as it stands in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Nanoseconds => "ns",
        }
    }
}

macro_rules! declare {
    ($(#[$about:meta])* $kind:ident { $(#[doc = $sentence:literal] $name:ident $id:literal $unit:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $kind {
            $(#[doc = $sentence] $name,)*
        }

        impl $kind {
            /// All of them, in their order in memory.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name for machines, which never changes: lower case with underscores.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What it counts.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence.trim_ascii(),)* }
            }
        }
    };
}

declare! {
    /// Counters of a loop, and then of a service. They only grow. Their order is that in memory: new ones come last.
    Counter {
        /// Turns of the loop, each a pass over all its phases.
        Turns "loop_turns" Count,
        /// Times the loop slept.
        Sleeps "loop_sleeps" Count,
        /// Time that the loop slept.
        AsleepNs "loop_asleep" Nanoseconds,
        /// Completions taken from the driver: bytes came, bytes went, a bell rang.
        Completions "ring_completions" Count,
        /// Completions that did not fit the ring's queue at once; more than zero is a bug.
        CqOverflows "ring_overflows" Count,
        /// Calls answered over shared memory.
        ShmCalls "shm_calls" Count,
        /// Calls answered over TCP.
        TcpCalls "tcp_calls" Count,
        /// Calls that were given up by their caller before they started.
        Cancelled "calls_cancelled" Count,
        /// Calls that were not started because their deadline had passed.
        Expired "calls_expired" Count,
        /// Calls that were not started for another reason, such as a size over the limit or an unknown method.
        Refused "calls_refused" Count,
        /// Handlers that panicked.
        Panics "handler_panics" Count,
        /// Calls before which the loop left its links to others, because the method is known to run long.
        StepsAside "loop_steps_aside" Count,
        /// Links whose polling the loop took up, because nobody looked at them.
        LinksAdopted "links_adopted" Count,
        /// Bells of links that the loop heard.
        BellsHeard "bells_heard" Count,
        /// Times the loop heard the bell that all loops of the service share.
        PoolBellsHeard "pool_bells_heard" Count,
        /// Times the loop rang that bell, so that others look at its links.
        PoolBellsRung "pool_bells_rung" Count,
        /// Sleeping clients that were woken for their reply; each is a system call.
        ClientsWoken "clients_woken" Count,
        /// Replies over shared memory that were larger than their caller's buffer, and were held for it.
        RepliesHeld "replies_held" Count,
        /// Held replies that were fetched.
        RepliesFetched "replies_fetched" Count,
        /// Fetches that came to a reply which was gone.
        RepliesLost "replies_lost" Count,
        /// TCP connections accepted.
        ConnectionsAccepted "connections_accepted" Count,
        /// Connections closed because the peer had ended its side.
        ClosedByPeer "connections_closed_peer" Count,
        /// Connections closed because their greeting was refused.
        ClosedRefused "connections_closed_refused" Count,
        /// Connections closed because the peer sent what is no frame.
        ClosedBroken "connections_closed_broken" Count,
        /// Connections closed because sending or receiving failed.
        ClosedError "connections_closed_error" Count,
        /// Connections closed because the worker was draining.
        ClosedDraining "connections_closed_draining" Count,
        /// Times the loop stopped accepting connections for want of descriptors.
        AcceptsStarved "accepts_starved" Count,
        /// Bytes received over TCP, frames and all.
        TcpBytesIn "tcp_bytes_in" Bytes,
        /// Bytes sent over TCP, frames and all.
        TcpBytesOut "tcp_bytes_out" Bytes,
        /// Clients that attached a link of shared memory; kept by the broker.
        ClientsAttached "clients_attached" Count,
        /// Clients whose link ended, whatever the reason; kept by the broker.
        ClientsDetached "clients_detached" Count,
        /// Clients that lost their link because they broke the protocol; kept by the broker.
        ClientsExpelled "clients_expelled" Count,
        /// Loops that have ended; kept by the broker.
        LoopsEnded "loops_ended" Count,
        /// Calls whose loop died while it had them, so that their callers were told "unknown"; kept by the broker.
        CallsUnknown "calls_unknown" Count,
        /// Handlers that ran for milliseconds although their method's usually do not, so that others were told to look.
        Overdue "handlers_overdue" Count,
        /// Times the loop rang a link's own bell, so that others look at a request that it has no time for.
        BellsRung "bells_rung" Count,
        /// Requests over shared memory that were read where their client wrote them, without a copy.
        ReadInPlace "requests_in_place" Count,
        /// Requests answered over HTTP that were calls, or should have been.
        HttpCalls "http_calls" Count,
        /// Connections closed because the peer did not greet, finish a frame or take its replies in time.
        ClosedSlow "connections_closed_slow" Count,
        /// Connections closed because a frame's checksum was wrong, or its compressed body.
        ClosedCorrupt "connections_closed_corrupt" Count,
        /// Bytes of bodies over TCP that went compressed, both ways, as they are without compression.
        CompressedFull "compressed_bytes_before" Bytes,
        /// Bytes of the same bodies as they went.
        CompressedSent "compressed_bytes_after" Bytes,
        /// Replies that went as they are although compression was agreed: they would not have shrunk by an eighth.
        CompressionSkipped "compression_skipped" Count,
        /// Times a link rang so often without a call that its bell was left out of the wait for a while.
        BellsMuted "bells_muted" Count,
        /// Times a pass left a link out because its user had taken its part of the loop's time.
        PassedOver "links_passed_over" Count,
        /// Links that the loop polls no more because another user had fewer places.
        Displaced "links_displaced" Count,
        /// Times a long call was put off for a moment, so that users with short ones come between two of one user's.
        PutOff "calls_put_off" Count,
        /// Calls that were handed over to run beside the loop: of blocking and async methods, and long ones of sockets.
        Beside "calls_beside" Count,
        /// Calls that were refused because so many were beside the loop already as may be.
        BesideFull "calls_refused_beside" Count,
        /// Clients that waited for their link because their user attached too often; kept by the broker.
        ClientsHeldBack "clients_held_back" Count,
    }
}

declare! {
    /// Counters of a method. They only grow. The order is the order in memory: new ones come last.
    MethodCounter {
        /// Calls answered, well or not, those included that were refused before they started.
        Calls "calls" Count,
        /// Bytes of arguments that reached the handler.
        BytesIn "bytes_in" Bytes,
        /// Bytes of replies to calls that ran, texts of errors included.
        BytesOut "bytes_out" Bytes,
        /// Calls that were timed; where it is less than the calls, the times are a sample.
        Timed "timed_calls" Count,
        /// Sum of the queue waits of the timed calls.
        QueueNs "queue_wait_sum" Nanoseconds,
        /// Sum of the handler times of the timed calls.
        HandlerNs "handler_time_sum" Nanoseconds,
        /// Sum of both.
        TotalNs "total_time_sum" Nanoseconds,
    }
}

declare! {
    /// Times of a method, each with a histogram.
    Timing {
        /// From when the loop could first see the call to its handler's start; decision 0008 says when that is.
        Queue "queue_wait" Nanoseconds,
        /// From the handler's start to its end, with reading the arguments and writing the reply.
        Handler "handler_time" Nanoseconds,
        /// Queue wait and handler time together.
        Total "total_time" Nanoseconds,
    }
}

impl Timing {
    /// The counter that sums this time up.
    #[must_use]
    pub const fn sum(self) -> MethodCounter {
        match self {
            Self::Queue => MethodCounter::QueueNs,
            Self::Handler => MethodCounter::HandlerNs,
            Self::Total => MethodCounter::TotalNs,
        }
    }
}

/// All of the above as the text of `docs/counters.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Counters\n\nMade from `protocol/src/stats/table.rs`: change it there, and run \
         `SPEEDYSVC_WRITE_DOCS=1 cargo test -p speedysvc-protocol stats::table`.\n\
         How they are kept: [decision 0008](decisions/0008-stats-page.md).\n",
    );
    let mut section = |title: &str, rows: &mut dyn Iterator<Item = (&str, Unit, &str)>| {
        text.push_str(&format!("\n## {title}\n\n| id | unit | what |\n|---|---|---|\n"));
        rows.for_each(|(id, unit, sentence)| text.push_str(&format!("| `{id}` | {} | {sentence} |\n", unit.name())));
    };
    section("Of a loop or a service", &mut Counter::ALL.iter().map(|c| (c.id(), c.unit(), c.sentence())));
    section("Of a method", &mut MethodCounter::ALL.iter().map(|c| (c.id(), c.unit(), c.sentence())));
    section("Histograms of a method", &mut Timing::ALL.iter().map(|t| (t.id(), t.unit(), t.sentence())));
    text.push_str("\nErrors of a method are counted by status code, and `APPLICATION` for the method's own errors.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn ids() -> Vec<&'static str> {
        let counters = Counter::ALL.iter().map(|c| c.id());
        counters.chain(MethodCounter::ALL.iter().map(|c| c.id())).chain(Timing::ALL.iter().map(|t| t.id())).collect()
    }

    #[test]
    fn ids_are_unique_and_plain() {
        let mut seen = HashSet::new();
        for id in ids() {
            assert!(seen.insert(id), "{id} twice");
            assert!(id.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{id}");
        }
    }

    #[test]
    fn every_number_has_a_sentence_and_its_place() {
        for (place, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(place, *counter as usize);
            assert!(counter.sentence().ends_with('.') && !counter.sentence().starts_with(' '), "{counter:?}");
        }
        assert!(MethodCounter::ALL.iter().enumerate().all(|(place, counter)| place == *counter as usize));
        assert_eq!(Timing::Total.sum().id(), "total_time_sum");
    }

    #[test]
    fn the_document_is_made_from_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
        if std::env::var_os("SPEEDYSVC_WRITE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(text, document(), "write it anew: its first lines say how");
    }
}
