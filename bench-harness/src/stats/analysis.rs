//! From rows to what may be said.

use serde::{Deserialize, Serialize};

use super::absent;
use super::bootstrap::{self, Interval};
use super::distance::Distances;
use super::extra::Extra;
use super::latency::{self, Latency};
use super::plan::{Part, Row, Scenario};
use super::quantile;
use super::ratio::{Point, Ratio, Verdict};
use super::sharing::Sharing;
use super::voiding::{Disturbance, Limits, Void};
use crate::measure::job::Outcome;

/// A row that was run, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Which.
    pub(crate) row: Row,
    /// When it began, in seconds since 1970.
    pub(crate) begun: f64,
    /// What was measured, or why nothing was.
    pub(crate) outcome: Result<Outcome, String>,
}

impl Done {
    /// What was measured, if anything was.
    fn measured(&self) -> Option<&Outcome> {
        self.outcome.as_ref().ok().filter(|outcome| outcome.skipped.is_none())
    }
}

/// One row's numbers. Those that a scenario does not have are not a number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Latencies in nanoseconds.
    #[serde(flatten)]
    pub(crate) latency: Latency,
    /// Calls per second.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) rate: f64,
    /// Processor time per call of the client, in nanoseconds.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) client_cpu: f64,
    /// And of the server.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) server_cpu: f64,
    /// Voluntary switches per call, both sides: waits.
    #[serde(deserialize_with = "absent::or_number")]
    pub(crate) waits: f64,
    /// How much others took.
    pub(crate) disturbance: Disturbance,
    /// How far the processors were from each other, by number; nearest first.
    pub(crate) distance: Option<usize>,
    /// Whether the processors had their cores to themselves.
    #[serde(default)]
    pub(crate) is_alone: bool,
    /// Why it does not count.
    pub(crate) void: Option<Void>,
}

impl Figures {
    fn new(outcome: &Outcome, limits: Option<&Limits>, view: &View<'_>) -> Self {
        // What is per call is not a number where there were none.
        let calls = if outcome.calls > 0 { outcome.calls as f64 } else { f64::NAN };
        let disturbed = (outcome.client.disturbed() + outcome.server.disturbed()) as f64;
        let disturbance = disturbance(outcome, disturbed);
        let judged = outcome.void.as_ref().map(|_| Void::Generator);
        Self {
            latency: Latency::of(&latency::from_pairs(&outcome.latencies)),
            rate: calls / outcome.seconds,
            client_cpu: outcome.client.cpu_ns as f64 / calls,
            server_cpu: outcome.server.cpu_ns as f64 / calls,
            waits: (outcome.client.voluntary + outcome.server.voluntary) as f64 / calls,
            disturbance,
            distance: view.distances.kind(outcome.probe_before, outcome.probe_after),
            is_alone: view.sharing.is_some_and(|sharing| sharing.is_alone(outcome.sharing)),
            void: judged.or_else(|| limits.and_then(|limits| limits.judge(&disturbance))),
        }
    }
}

fn disturbance(outcome: &Outcome, disturbed: f64) -> Disturbance {
    let others = outcome.others_ns.map_or(f64::NAN, |ns| ns as f64 / 1e6 / outcome.seconds);
    Disturbance { steal: outcome.steal_ticks as f64 / outcome.seconds, switches: disturbed / outcome.seconds, others }
}

/// A reference against itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resolution {
    /// The reference.
    pub(crate) of: String,
    /// Ratios within this are no difference.
    pub(crate) ratio: Ratio,
}

/// One contender in one scenario: medians over its rounds that count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The contender.
    pub(crate) contender: String,
    /// The median half-way latency with its interval, in nanoseconds.
    pub(crate) p50: Option<Interval>,
    /// The medians of everything; none when no round counts.
    pub(crate) medians: Option<Figures>,
    /// Half-way latency by how far the processors were from each other: the kind, the median, and of how many rounds.
    pub(crate) by_distance: Vec<(usize, f64, usize)>,
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Rounds that were disturbed too much.
    pub(crate) void: usize,
    /// Rounds that failed, and why the first did.
    pub(crate) failed: usize,
    /// Why the first failed.
    pub(crate) failure: Option<String>,
    /// Against the references.
    pub(crate) ratios: Vec<(Ratio, Verdict)>,
    /// What only this scenario has.
    #[serde(default)]
    pub(crate) extras: Vec<Extra>,
    /// Why rounds could not be run on this machine at all.
    #[serde(default)]
    pub(crate) skipped: Option<String>,
}

/// One row as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Which.
    #[serde(flatten)]
    pub(crate) row: Row,
    /// When it began, in seconds since 1970.
    pub(crate) begun: f64,
    /// Calls in the measured span.
    pub(crate) calls: u64,
    /// Its numbers.
    pub(crate) figures: Option<Figures>,
    /// A flag's round trip just before and just after, in nanoseconds.
    pub(crate) probes: [Option<f64>; 2],
    /// Whether others used the processors' cores just before and just after.
    #[serde(default)]
    pub(crate) sharing: [Option<f64>; 2],
    /// Why there are no numbers.
    pub(crate) failure: Option<String>,
    /// What only this scenario has.
    #[serde(default)]
    pub(crate) extras: Vec<Extra>,
    /// Why its generator did not keep up, or why it was not run at all.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Compared {
    /// Its name.
    pub(crate) scenario: String,
    /// The most that a row may have been disturbed.
    pub(crate) limits: Option<Limits>,
    /// Whether others used the processors' cores, in all of the campaign.
    #[serde(default)]
    pub(crate) sharing: Option<Sharing>,
    /// What the A/A run could tell apart.
    pub(crate) resolutions: Vec<Resolution>,
    /// The contenders.
    pub(crate) lines: Vec<Line>,
    /// Every row that was run.
    pub(crate) rows: Vec<Written>,
}

/// Which of the rows of a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Whose.
    pub(crate) contender: &'a str,
    /// Of which run.
    pub(crate) part: Part,
    /// Whether also those that do not count.
    pub(crate) are_void_too: bool,
}

impl<'a> Rows<'a> {
    /// Those of the comparison that count.
    pub(crate) fn counted(contender: &'a str) -> Self {
        Self { contender, part: Part::Main, are_void_too: false }
    }
}

/// One number of each of these rows.
pub(crate) fn points(rows: &[Written], of: Rows<'_>, read: &dyn Fn(&Figures) -> f64) -> Vec<Point> {
    let mine = rows.iter().filter(|row| row.row.contender == of.contender && row.row.part == of.part);
    let points = mine.filter_map(|row| {
        let figures = row.figures.as_ref().filter(|figures| of.are_void_too || figures.void.is_none())?;
        Some(Point {
            round: row.row.round,
            value: read(figures),
            distance: figures.distance,
            is_alone: figures.is_alone,
        })
    });
    points.collect()
}

/// The kinds of distance that all rows together have seen.
pub(crate) fn distances(done: &[Done]) -> Distances {
    let outcomes = done.iter().filter_map(|done| done.outcome.as_ref().ok());
    Distances::of(outcomes.flat_map(|outcome| [outcome.probe_before, outcome.probe_after]).flatten())
}

fn sharing(done: &[Done]) -> Option<Sharing> {
    Sharing::of(done.iter().filter_map(Done::measured).flat_map(|outcome| outcome.sharing).flatten())
}

/// Compares the contenders of a scenario.
pub(crate) fn compare(scenario: &Scenario, done: &[Done], distances: &Distances) -> Compared {
    let mine: Vec<&Done> = done.iter().filter(|done| done.row.scenario == scenario.name).collect();
    let limits = limits(scenario, &mine);
    let sharing = sharing(done);
    let view = View { mine, limits, distances, sharing };
    let resolutions: Vec<Resolution> = scenario.references.iter().map(|name| view.resolution(name)).collect();
    let lines = scenario.contenders.iter().map(|name| view.line(name, scenario, &resolutions)).collect();
    let rows = view.written();
    Compared { scenario: scenario.name.clone(), limits, sharing, resolutions, lines, rows }
}

fn limits(scenario: &Scenario, mine: &[&Done]) -> Option<Limits> {
    let of = |done: &&Done| {
        let outcome = done.measured()?;
        Some(disturbance(outcome, (outcome.client.involuntary + outcome.server.involuntary) as f64))
    };
    let is_same = |done: &&&Done| done.row.part != Part::Main;
    let same: Vec<Disturbance> = mine.iter().filter(is_same).filter_map(of).collect();
    if !scenario.task.load.is_open() {
        return Limits::closed(&same);
    }
    let all: Vec<Disturbance> = mine.iter().filter_map(of).collect();
    Some(Limits::open(&same, &all))
}

/// The rows of one scenario.
struct View<'a> {
    mine: Vec<&'a Done>,
    limits: Option<Limits>,
    distances: &'a Distances,
    sharing: Option<Sharing>,
}

impl View<'_> {
    fn rows(&self, contender: &str, part: Part) -> impl Iterator<Item = &Done> {
        let wanted = move |done: &&Done| done.row.contender == contender && done.row.part == part;
        self.mine.iter().copied().filter(wanted)
    }

    /// Rows with their rounds.
    fn figures(&self, contender: &str, part: Part) -> Vec<(usize, Figures)> {
        let rows = self.rows(contender, part);
        let measured = rows.filter_map(|done| Some((done.row.round, done.measured()?)));
        measured.map(|(round, outcome)| (round, self.judged(part, outcome))).collect()
    }

    /// The figures that only this scenario has: medians over the rounds that count.
    fn extras(&self, contender: &str) -> Vec<Extra> {
        let rows = self.rows(contender, Part::Main).filter_map(Done::measured);
        let counted: Vec<&Outcome> = rows.filter(|row| self.judged(Part::Main, row).void.is_none()).collect();
        let Some(first) = counted.first() else { return vec![] };
        let over_rounds = |extra: &Extra| {
            let same = counted.iter().flat_map(|row| &row.extras).filter(|other| other.name == extra.name);
            let values: Vec<f64> = same.map(|other| other.value).collect();
            Extra { value: quantile::median(&values), interval: bootstrap::interval(&values), ..extra.clone() }
        };
        first.extras.iter().map(over_rounds).collect()
    }

    /// Rows of the A/A run are the measure of disturbance, and are not judged by it.
    fn judged(&self, part: Part, outcome: &Outcome) -> Figures {
        Figures::new(outcome, self.limits.as_ref().filter(|_| part == Part::Main), self)
    }

    fn written(&self) -> Vec<Written> {
        let write = |done: &&Done| {
            let outcome = done.measured();
            Written {
                row: done.row.clone(),
                begun: done.begun,
                calls: outcome.map_or(0, |outcome| outcome.calls),
                figures: outcome.map(|outcome| self.judged(done.row.part, outcome)),
                probes: outcome.map_or([None; 2], |outcome| [outcome.probe_before, outcome.probe_after]),
                sharing: outcome.map_or([None; 2], |outcome| outcome.sharing),
                failure: done.outcome.as_ref().err().cloned(),
                extras: outcome.map_or_else(Vec::new, |outcome| outcome.extras.clone()),
                note: done.outcome.as_ref().ok().and_then(|all| all.void.clone().or_else(|| all.skipped.clone())),
            }
        };
        self.mine.iter().map(write).collect()
    }

    fn points(&self, contender: &str, part: Part) -> Vec<Point> {
        let counted = self.figures(contender, part).into_iter().filter(|(_, figures)| figures.void.is_none());
        let point = |(round, row): (usize, Figures)| Point {
            round,
            value: row.latency.p50,
            distance: row.distance,
            is_alone: row.is_alone,
        };
        counted.map(point).collect()
    }

    fn ratio(&self, to: &str, points: &[Point], reference: &[Point]) -> Ratio {
        Ratio::new(to, points, reference, self.distances.count() > 0)
    }

    fn resolution(&self, name: &str) -> Resolution {
        let ratio = self.ratio(name, &self.points(name, Part::Again), &self.points(name, Part::Same));
        Resolution { of: name.into(), ratio }
    }

    fn line(&self, name: &str, scenario: &Scenario, resolutions: &[Resolution]) -> Line {
        let all = self.figures(name, Part::Main);
        let counted: Vec<Figures> = all.iter().map(|(_, row)| *row).filter(|row| row.void.is_none()).collect();
        let p50s: Vec<f64> = counted.iter().map(|row| row.latency.p50).collect();
        let failures: Vec<&String> =
            self.rows(name, Part::Main).filter_map(|done| done.outcome.as_ref().err()).collect();
        let others = scenario.references.iter().zip(resolutions).filter(|(reference, _)| *reference != name);
        let points = self.points(name, Part::Main);
        let ratios = others.map(|(reference, resolution)| {
            let ratio = self.ratio(reference, &points, &self.points(reference, Part::Main));
            let verdict = ratio.verdict(resolution.ratio.interval.as_ref());
            (ratio, verdict)
        });
        Line {
            contender: name.into(),
            p50: bootstrap::interval(&p50s),
            medians: medians(&counted),
            by_distance: self.by_distance(&counted),
            rounds: counted.len(),
            void: all.len() - counted.len(),
            failed: failures.len(),
            failure: failures.first().map(|why| (*why).clone()),
            ratios: ratios.collect(),
            extras: self.extras(name),
            skipped: self.rows(name, Part::Main).find_map(|done| done.outcome.as_ref().ok()?.skipped.clone()),
        }
    }

    fn by_distance(&self, rows: &[Figures]) -> Vec<(usize, f64, usize)> {
        let kinds = (0..self.distances.count()).map(|kind| {
            let of_kind = rows.iter().filter(|row| row.distance == Some(kind));
            let p50s: Vec<f64> = of_kind.map(|row| row.latency.p50).filter(|p50| p50.is_finite()).collect();
            (kind, quantile::median(&p50s), p50s.len())
        });
        kinds.filter(|(_, _, rounds)| *rounds > 0).collect()
    }
}

/// The median of each number by itself.
fn medians(rows: &[Figures]) -> Option<Figures> {
    let first = rows.first()?;
    let at = |read: fn(&Figures) -> f64| quantile::median(&rows.iter().map(read).collect::<Vec<_>>());
    Some(Figures {
        latency: Latency {
            p50: at(|row| row.latency.p50),
            p99: at(|row| row.latency.p99),
            p999: at(|row| row.latency.p999),
            max: at(|row| row.latency.max),
            stalled: at(|row| row.latency.stalled),
        },
        rate: at(|row| row.rate),
        client_cpu: at(|row| row.client_cpu),
        server_cpu: at(|row| row.server_cpu),
        waits: at(|row| row.waits),
        disturbance: Disturbance {
            steal: at(|row| row.disturbance.steal),
            switches: at(|row| row.disturbance.switches),
            others: at(|row| row.disturbance.others),
        },
        distance: rows.iter().all(|row| row.distance == first.distance).then_some(first.distance).flatten(),
        is_alone: rows.iter().all(|row| row.is_alone),
        void: None,
    })
}
