//! Repeats that are taken again, since the machine was disturbed. In: what was planned, and each
//! repeat as it ends. Out: the second attempts, at the end of their block. Pure.

use super::schedule::Task;
use crate::units::counted;
use std::collections::{HashMap, VecDeque};

/// The second attempts of one call.
///
/// Each repeat has one at most, and all together are no more than there are blocks: a machine that is
/// disturbed more often is busy, and a third attempt would not find it quiet. So a call takes at most
/// as much longer as one more cell would take.
#[derive(Debug)]
pub struct Retakes {
    /// How many more may be taken.
    left: usize,
    /// Those of the present block, which is not over.
    due: VecDeque<Task>,
    /// By cell: the last number that one of its repeats has.
    numbers: HashMap<usize, u32>,
    /// Place of the last cell of a block.
    last_position: u32,
    disturbed: usize,
    taken: usize,
}

impl Retakes {
    /// For `tasks`, in blocks of `cells` cells; `keep` takes nothing again.
    pub fn new(tasks: &[Task], cells: usize, keep: bool) -> Self {
        let mut numbers = HashMap::new();
        for task in tasks {
            let last: &mut u32 = numbers.entry(task.cell).or_default();
            *last = task.repeat.max(*last);
        }
        let blocks = tasks.chunk_by(|a, b| a.block == b.block).count();
        Self {
            left: if keep { 0 } else { blocks },
            due: VecDeque::new(),
            numbers,
            last_position: cells as u32,
            disturbed: 0,
            taken: 0,
        }
    }

    /// Takes note of a repeat that was disturbed. True where it will be taken again.
    pub fn note(&mut self, task: &Task) -> bool {
        self.disturbed += 1;
        if self.left == 0 || task.is_retake {
            return false;
        }
        self.left -= 1;
        let number = self.numbers.entry(task.cell).or_default();
        *number += 1;
        self.due.push_back(Task {
            repeat: *number,
            position: self.last_position + self.due.len() as u32 + 1,
            is_retake: true,
            ..task.clone()
        });
        true
    }

    /// The next second attempt, once the block is over; `next` is what was planned next.
    pub fn due(&mut self, next: Option<&Task>) -> Option<Task> {
        let block = self.due.front()?.block;
        if next.is_some_and(|next| next.block == block) {
            return None;
        }
        self.taken += 1;
        self.due.pop_front()
    }

    /// What to say of it all in the end; nothing where nothing was disturbed.
    pub fn told(&self) -> Option<String> {
        let disturbed = counted(self.disturbed as u64, "disturbed repeat");
        let kept = self.disturbed - self.taken;
        match (self.taken, kept) {
            (0, 0) => None,
            (taken, 0) => Some(format!("{disturbed}: {taken} taken again")),
            (taken, kept) => Some(format!("{disturbed}: {taken} taken again, {kept} kept")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(cell: usize, block: u32) -> Task {
        Task {
            run: 1,
            cell,
            block,
            position: cell as u32 + 1,
            repeat: block,
            is_retake: false,
        }
    }

    /// Two cells in two blocks.
    fn tasks() -> Vec<Task> {
        vec![task(0, 1), task(1, 1), task(0, 2), task(1, 2)]
    }

    #[test]
    fn a_second_attempt_comes_at_the_end_of_its_block_under_a_new_number() {
        let tasks = tasks();
        let mut retakes = Retakes::new(&tasks, 2, false);
        assert!(retakes.note(&tasks[0]));
        assert_eq!(retakes.due(Some(&tasks[1])), None);
        assert!(retakes.note(&tasks[1]));
        let again = retakes.due(Some(&tasks[2])).unwrap();
        let told = (again.cell, again.block, again.position, again.repeat);
        assert_eq!(told, (0, 1, 3, 3));
        let again = retakes.due(Some(&tasks[2])).unwrap();
        let told = (again.cell, again.block, again.position, again.repeat);
        assert_eq!(told, (1, 1, 4, 3));
        assert_eq!(retakes.due(Some(&tasks[2])), None);
        assert_eq!(
            retakes.told().unwrap(),
            "2 disturbed repeats: 2 taken again"
        );
    }

    #[test]
    fn attempts_are_bounded_for_each_repeat_and_by_the_number_of_blocks() {
        let tasks = tasks();
        let mut retakes = Retakes::new(&tasks, 2, false);
        assert!(retakes.note(&tasks[0]));
        let again = retakes.due(None).unwrap();
        assert!(!retakes.note(&again), "it has had its second attempt");
        assert!(retakes.note(&tasks[1]));
        assert!(!retakes.note(&tasks[2]), "there are two blocks");
        assert!(retakes.due(None).is_some());
        let told = retakes.told().unwrap();
        assert_eq!(told, "4 disturbed repeats: 2 taken again, 2 kept");
    }

    #[test]
    fn nothing_is_taken_again_where_the_user_wants_it_so() {
        let mut retakes = Retakes::new(&tasks(), 2, true);
        assert_eq!(retakes.told(), None);
        assert!(!retakes.note(&task(0, 1)));
        assert_eq!(
            retakes.told().unwrap(),
            "1 disturbed repeat: 0 taken again, 1 kept"
        );
    }
}
