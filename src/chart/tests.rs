use super::*;
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::table::RepeatRow;
use crate::terms::{Mark, Phase};

fn dump(name: &str, rows: &[RepeatRow], story: &Story) {
    let summary = Summary::of(rows);
    for chart in story.charts() {
        match build(&summary, story, &chart) {
            Ok(figure) => {
                let base = format!("/tmp/look/{name}-{}", chart.kind);
                draw::png(&figure, std::path::Path::new(&format!("{base}.png"))).unwrap();
                std::fs::write(format!("{base}.svg"), draw::svg(&figure).unwrap()).unwrap();
            }
            Err(error) => println!("{name} {}: {error}", chart.kind),
        }
    }
}

#[test]
fn look() {
    std::fs::create_dir_all("/tmp/look").unwrap();
    dump("seed", &seed_rows(6), &cifar_story());
    dump("one", &RowBuilder::cifar10(1).repeats(6), &cifar_story());
    let mut two = Vec::new();
    for (r, rate) in [(1, 250.0), (2, 480.0), (4, 490.0)] {
        let b = RowBuilder::cifar10(r).rate(rate);
        two.extend(if r == 4 { b.mark(Mark::Oversubscribed) } else { b }.phase(Phase::Exchange, 0.04).repeats(3));
    }
    two.extend(RowBuilder::cifar10(8).skipped("8 devices of 1 thread need 8 cores, 2 are here", 3));
    dump("skips", &two, &cifar_story());
    let mut six = Vec::new();
    let mut story = cifar_story();
    story.axes[1].labels = (0..6).map(|i| format!("a rather long label of arm {i} that tells much of its settings and more")).collect();
    for (i, label) in story.axes[1].labels.clone().iter().enumerate() {
        for r in [1, 2, 4, 8, 16, 32, 64] {
            six.extend(RowBuilder::cifar10(r).input(label).rate(1e6 * (r as f64).powf(0.5 + 0.08 * i as f64)).phase(Phase::Exchange, 0.1).phase(Phase::InputWait, 0.05 * i as f64).repeats(6));
        }
    }
    dump("six", &six, &story);
    let tiny: Vec<_> = [1, 2, 3].into_iter().flat_map(|r| RowBuilder::cifar10(r).rate(3e-6 * r as f64).repeats(6)).collect();
    dump("tiny", &tiny, &cifar_story());
    let mut story = cifar_story();
    story.axes.remove(0);
    let words: Vec<_> = ["input on device", "input on host", "no input"].into_iter().enumerate().flat_map(|(i, l)| RowBuilder::cifar10(1).input(l).rate(100.0 * (i + 1) as f64).mark(Mark::Disturbed).repeats(6)).collect();
    dump("words", &words, &story);
    dump("skipped", &RowBuilder::cifar10(1).skipped("no GPU", 1), &story);
}
