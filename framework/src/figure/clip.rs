//! Keeping lines and areas within a panel, and thinning what a screen cannot show.

use super::canvas::Place;

/// A rectangle in pixels: left, top, right, bottom.
pub(super) type Rectangle = [f64; 4];

/// The part of a segment within the rectangle (Liang and Barsky 1984).
pub(super) fn segment(from: Place, to: Place, within: Rectangle) -> Option<(Place, Place)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let borders =
        [(-dx, from.0 - within[0]), (dx, within[2] - from.0), (-dy, from.1 - within[1]), (dy, within[3] - from.1)];
    for (towards, distance) in borders {
        if towards == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            enter = enter.max(distance / towards);
        } else {
            leave = leave.min(distance / towards);
        }
    }
    let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
    (enter <= leave).then(|| (at(enter), at(leave)))
}

/// The parts of a path within the rectangle; a missing place is a gap.
pub(super) fn path(places: &[Option<Place>], within: Rectangle) -> Vec<Vec<Place>> {
    let mut parts: Vec<Vec<Place>> = Vec::new();
    let mut open = false;
    for pair in places.windows(2) {
        let (Some(from), Some(to)) = (pair[0], pair[1]) else {
            open = false;
            continue;
        };
        let Some((a, b)) = segment(from, to, within) else {
            open = false;
            continue;
        };
        match parts.last_mut() {
            Some(part) if open && a == from => part.push(b),
            _ => parts.push(vec![a, b]),
        }
        open = b == to;
    }
    parts
}

/// The part of a polygon within the rectangle (Sutherland and Hodgman 1974).
pub(super) fn polygon(mut corners: Vec<Place>, within: Rectangle) -> Vec<Place> {
    for side in 0..4 {
        let depth = |place: Place| match side {
            0 => place.0 - within[0],
            1 => place.1 - within[1],
            2 => within[2] - place.0,
            _ => within[3] - place.1,
        };
        let mut kept = Vec::with_capacity(corners.len());
        for (index, to) in corners.iter().enumerate() {
            let from = corners[(index + corners.len() - 1) % corners.len()];
            let (before, after) = (depth(from), depth(*to));
            if (before < 0.0) != (after < 0.0) {
                let share = before / (before - after);
                kept.push((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)));
            }
            if after >= 0.0 {
                kept.push(*to);
            }
        }
        corners = kept;
    }
    corners
}

/// A path with at most four points a pixel column: the first, lowest, highest and last of each run of neighbours
/// that fall into one column. Short paths are left as they are.
pub(super) fn thin(places: Vec<Option<Place>>) -> Vec<Option<Place>> {
    if places.len() < 2000 {
        return places;
    }
    thinned(&places).into_iter().map(|index| places[index]).collect()
}

/// Which points [`thin`] keeps, in their order.
pub(super) fn thinned(places: &[Option<Place>]) -> Vec<usize> {
    let column = |place: &Option<Place>| place.map(|(x, _)| x.round() as i64);
    let mut kept = Vec::new();
    let mut start = 0;
    while start < places.len() {
        let end = (start..places.len()).find(|index| column(&places[*index]) != column(&places[start]));
        let end = end.unwrap_or(places.len());
        let height = |index: &usize| places[*index].map_or(0.0, |(_, y)| y);
        let lowest = (start..end).min_by(|a, b| height(a).total_cmp(&height(b))).unwrap_or(start);
        let highest = (start..end).max_by(|a, b| height(a).total_cmp(&height(b))).unwrap_or(start);
        let mut run = vec![start, lowest, highest, end - 1];
        run.sort_unstable();
        run.dedup();
        kept.append(&mut run);
        start = end;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Rectangle = [0.0, 0.0, 10.0, 10.0];

    #[test]
    fn paths_leave_and_come_back() {
        let places = [(5.0, 5.0), (15.0, 5.0), (15.0, 8.0), (5.0, 8.0)].map(Some);
        assert_eq!(path(&places, BOX), [vec![(5.0, 5.0), (10.0, 5.0)], vec![(10.0, 8.0), (5.0, 8.0)]]);
        assert_eq!(path(&[Some((1.0, 1.0)), None, Some((2.0, 2.0))], BOX), Vec::<Vec<Place>>::new());
    }

    #[test]
    fn polygons_are_cut_at_the_border() {
        let square = vec![(-5.0, 5.0), (5.0, 5.0), (5.0, 15.0), (-5.0, 15.0)];
        let cut = polygon(square, BOX);
        let pairs = (0..cut.len()).map(|index| (cut[index], cut[(index + 1) % cut.len()]));
        let twice_area: f64 = pairs.map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
        assert_eq!(twice_area.abs() / 2.0, 25.0, "{cut:?}");
    }

    #[test]
    fn thinning_keeps_the_extremes_of_each_column() {
        let places: Vec<_> = (0..100_000).map(|i| Some((f64::from(i) / 1000.0, f64::from((i * 7919) % 997)))).collect();
        let thinned = thin(places.clone());
        assert!(thinned.len() <= 4 * 101, "{}", thinned.len());
        let range = |list: &[Option<Place>]| {
            list.iter().flatten().map(|p| p.1).fold((9e9_f64, 0.0_f64), |r, y| (r.0.min(y), r.1.max(y)))
        };
        assert_eq!(range(&places), range(&thinned));
        assert_eq!((places[0], places[99_999]), (thinned[0], thinned[thinned.len() - 1]));
    }
}
