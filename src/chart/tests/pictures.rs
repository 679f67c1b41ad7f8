//! Geometry and files of figures of every shape: nothing overlaps, nothing is lost, same bytes twice.

use super::*;
use crate::analysis::sample_cluster::cluster_story;
use crate::chart::layout::layout;
use crate::chart::scene::{Anchor, Frame, Shape, Text};
use strum::VariantArray;

/// Six series with long names over seven numbers of replicas, with large values.
fn crowded() -> (Vec<RepeatRow>, Story) {
    let mut story = cifar_story();
    let name =
        |i| format!("the long label of arm {i} that tells what all of its settings are & <more>");
    story.axes[1].labels = (0..6).map(name).collect();
    let mut rows = Vec::new();
    for (i, label) in story.axes[1].labels.iter().enumerate() {
        for replicas in [1, 2, 4, 8, 16, 32, 64] {
            let growth = f64::from(replicas).powf(0.5 + 0.08 * i as f64);
            let cell = RowBuilder::cifar10(replicas)
                .input(label)
                .rate(1e6 * growth);
            rows.extend(cell.phase(Phase::InputWait, 0.05 * i as f64).repeats(6));
        }
    }
    (rows, story)
}

/// One figure of each kind for data sets of every shape.
fn all_figures() -> Vec<Figure> {
    let (crowded_rows, crowded_story) = crowded();
    let tiny: Vec<_> = (1..4)
        .flat_map(|r| RowBuilder::cifar10(r).rate(3e-6).repeats(6))
        .collect();
    let words = ["input on device", "input on host", "no input"];
    let words = words
        .map(|label| RowBuilder::cifar10(1).input(label).repeats(2))
        .concat();
    let mut by_word = cifar_story();
    by_word.axes.remove(0);
    let sets = [
        (seed_rows(6), cifar_story()),
        (RowBuilder::cifar10(1).repeats(1), cifar_story()),
        (partial_rows(), cifar_story()),
        (crowded_rows, crowded_story),
        (tiny, cifar_story()),
        (words, by_word),
        (cluster::rows(6), cluster_story()),
    ];
    let mut figures = Vec::new();
    for (rows, story) in sets {
        let summary = Summary::of(&rows);
        for kind in ChartKind::VARIANTS {
            let spec = ChartStory {
                kind: *kind,
                ..story.leading_chart()
            };
            match build(&summary, &story, &spec) {
                Ok(figure) => figures.push(figure),
                Err(none) => assert_eq!(none, NoFigure::NoExchange),
            }
        }
    }
    figures
}

/// Where the ink of a text is.
fn extent(text: &Text) -> Frame {
    let width = draw::text_width(&text.text, text.size);
    let left = match text.anchor {
        Anchor::Start => text.at.0,
        Anchor::Middle => text.at.0 - width / 2.0,
        Anchor::End => text.at.0 - width,
    };
    Frame {
        left,
        right: left + width,
        top: text.at.1 - 0.4 * text.size,
        bottom: text.at.1 + 0.4 * text.size,
    }
}

#[test]
fn no_text_touches_another_or_leaves_the_picture() {
    for figure in all_figures() {
        check_texts(&figure.scene(), &outline(&figure));
    }
    for table in heat::tables() {
        let map = crate::chart::heat::figure(&table).unwrap();
        check_texts(&map.scene(), &map.title);
    }
}

fn check_texts(scene: &Scene, told: &str) {
    let texts = scene.shapes.iter().filter_map(|shape| match shape {
        Shape::Text(text) => Some((text, extent(text))),
        _ => None,
    });
    let texts: Vec<_> = texts.collect();
    for (i, (text, a)) in texts.iter().enumerate() {
        let inside = a.left >= 0.0 && a.right <= scene.width && a.bottom <= scene.height;
        assert!(inside, "{text:?} leaves {} x {}", scene.width, scene.height);
        for (other, b) in &texts[i + 1..] {
            let beside = a.right <= b.left || b.right <= a.left;
            let apart = beside || a.bottom <= b.top || b.bottom <= a.top;
            assert!(apart, "{text:?} touches {other:?}\n{told}");
        }
    }
}

#[test]
fn an_svg_is_whole_escaped_and_the_same_each_time() {
    let (rows, story) = crowded();
    let figure = build(&Summary::of(&rows), &story, &story.leading_chart()).unwrap();
    let svg = draw::svg(&figure).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(
        svg.contains("arm 3") && svg.contains("&amp; &lt;more&gt;"),
        "{svg}"
    );
    assert!(
        svg.contains("80 000 000") && svg.contains("sans-serif"),
        "{svg}"
    );
    assert_eq!(svg, draw::svg(&figure).unwrap());
}

#[test]
fn a_png_is_whole_and_twice_the_size_of_the_layout() {
    let folder = tempfile::tempdir().unwrap();
    let figure = figure(&seed_rows(6), ChartKind::Scaling);
    let files = ["a.png", "b.png"].map(|name| folder.path().join(name));
    let [a, b] = files.map(|path| {
        draw::png(&figure, &path).unwrap();
        std::fs::read(path).unwrap()
    });
    assert_eq!(a, b);
    let number = |at: usize| u32::from_be_bytes(a[at..at + 4].try_into().unwrap());
    let scene = layout(&figure);
    assert_eq!(&a[1..4], b"PNG");
    assert_eq!(number(16), 2 * scene.width as u32);
    assert_eq!(number(20), 2 * scene.height as u32);
    assert_eq!(&a[a.len() - 8..a.len() - 4], b"IEND");
}

#[test]
fn the_font_has_every_letter_that_charts_use() {
    for letter in "µ×·…%°é≥".chars() {
        let width = draw::text_width(&letter.to_string(), 100.0);
        assert!(width > 5.0, "{letter} is {width} wide");
    }
}
