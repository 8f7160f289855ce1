//! The time line: the lives of the tokens in use, as bars on one axis.

use entrant_types::{Lifetime, Timestamp};

use super::moment::{Moment, span};

/// Width of the drawing in its own units; the page stretches it.
const WIDTH: i64 = 1000;

/// One token's life.
#[derive(Clone, Debug)]
pub struct Life {
    /// Whose token.
    pub name: String,
    /// When it was received and ends.
    pub lifetime: Lifetime,
    /// When it will be renewed, if that is planned.
    pub next: Option<Timestamp>,
    /// Which colour, 1 to 3.
    pub colour: u8,
}

/// A bar, in units of the drawing.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose token.
    pub name: String,
    /// What is left, in words.
    pub caption: String,
    /// The whole row in words, for who does not see it.
    pub description: String,
    /// Colour class.
    pub class: String,
    /// Where the bar starts.
    pub from: i64,
    /// Width of the part that has passed.
    pub spent: i64,
    /// Where the part that is left starts.
    pub now: i64,
    /// Width of the part that is left.
    pub left: i64,
    /// Where the next renewal is.
    pub next: Option<i64>,
}

/// All bars on one axis.
#[derive(Debug)]
pub struct TimeLine {
    /// The bars.
    pub rows: Vec<Row>,
    /// Where now is.
    pub now: i64,
    /// Left end of the axis.
    pub start: Moment,
    /// Right end of the axis.
    pub end: Moment,
}

impl TimeLine {
    /// The bars of `lives` on an axis that holds them all and now; nothing without a life.
    #[must_use]
    pub fn draw(lives: &[Life], now: Timestamp) -> Option<Self> {
        let start = lives.iter().map(|life| life.lifetime.received).min()?.min(now);
        let end = lives.iter().map(|life| life.lifetime.expires).max()?.max(now);
        let axis = Axis { start: start.millis(), width: end.millis().saturating_sub(start.millis()).max(1) };
        let rows = lives.iter().map(|life| row(life, &axis, now)).collect();
        Some(Self { rows, now: axis.x(now), start: bare(start, now), end: bare(end, now) })
    }
}

struct Axis {
    start: i64,
    width: i64,
}

impl Axis {
    fn x(&self, at: Timestamp) -> i64 {
        let offset = i128::from(at.millis().saturating_sub(self.start)) * i128::from(WIDTH) / i128::from(self.width);
        i64::try_from(offset).unwrap_or(WIDTH).clamp(0, WIDTH)
    }
}

fn bare(at: Timestamp, now: Timestamp) -> Moment {
    Moment { relative: String::new(), ..Moment::new(at, now) }
}

fn row(life: &Life, axis: &Axis, now: Timestamp) -> Row {
    let (from, to) = (axis.x(life.lifetime.received), axis.x(life.lifetime.expires));
    let split = axis.x(now).clamp(from, to);
    let left = if life.lifetime.is_valid(now) {
        format!("{} left", span(life.lifetime.left(now)))
    } else {
        "expired".to_owned()
    };
    let next = life.next.filter(|next| *next > now);
    let renewal = next.map(|next| format!(", renewed in {}", span(now.until(next)))).unwrap_or_default();
    Row {
        description: format!(
            "{}: received {}, ends {}, {left}{renewal}",
            life.name, life.lifetime.received, life.lifetime.expires
        ),
        caption: format!("{left}{renewal}"),
        name: life.name.clone(),
        class: format!("life-{}", life.colour),
        from,
        spent: split - from,
        now: split,
        left: to - split,
        next: next.map(|next| axis.x(next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(received: i64, expires: i64, next: Option<i64>) -> Life {
        let lifetime = Lifetime {
            received: Timestamp::from_secs(received),
            refresh_at: None,
            expires: Timestamp::from_secs(expires),
        };
        Life { name: "x".into(), lifetime, next: next.map(Timestamp::from_secs), colour: 1 }
    }

    #[test]
    fn bars_share_one_axis_that_holds_every_life_and_now() {
        let lives = [life(0, 1000, Some(750)), life(500, 900, None)];
        let lines = TimeLine::draw(&lives, Timestamp::from_secs(600)).unwrap();
        assert_eq!(lines.now, 600);
        let first = &lines.rows[0];
        assert_eq!((first.from, first.spent, first.now, first.left, first.next), (0, 600, 600, 400, Some(750)));
        let second = &lines.rows[1];
        assert_eq!((second.from, second.spent, second.now, second.left, second.next), (500, 100, 600, 300, None));
    }

    #[test]
    fn an_expired_or_instant_or_endless_life_is_still_a_picture() {
        let now = Timestamp::from_secs(2000);
        let lives = [life(0, 1000, Some(750)), life(2000, 2000, None), life(i64::MIN / 2000, i64::MAX / 1000, None)];
        for lives in [&lives[..1], &lives[1..2], &lives[..]] {
            for row in TimeLine::draw(lives, now).unwrap().rows {
                assert!(row.spent >= 0 && row.left >= 0 && row.from + row.spent + row.left <= WIDTH, "{row:?}");
            }
        }
        assert_eq!(TimeLine::draw(&lives[..1], now).unwrap().rows[0].caption, "expired");
        assert!(TimeLine::draw(&[], now).is_none());
    }
}
