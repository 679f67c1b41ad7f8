//! Where the rows of numbers of a tile are: one for each pixel, or one for each point.

use super::super::geometry::Geometry;
use super::OUTPUTS;

/// A square of rows of numbers.
pub struct Square<T, const S: usize> {
    /// Where each row begins; rows that are only read are not written through these.
    pub rows: [[*mut T; S]; S],
    /// Numbers of a row.
    pub width: usize,
}

impl<T, const S: usize> Square<T, S> {
    /// Rows that are `stride` numbers apart.
    #[inline(always)]
    pub fn spaced(first: *mut T, stride: usize, width: usize) -> Self {
        let mut rows = [[first; S]; S];
        for i in 0..S {
            for j in 0..S {
                rows[i][j] = first.wrapping_add((i * S + j) * stride);
            }
        }
        Self { rows, width }
    }
}

/// Images, or results, that are cut into tiles.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    height: usize,
    width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
    /// Rows and columns that the first tile begins before the image.
    before: usize,
    /// Tiles of an image from left to right.
    across: usize,
    /// Tiles of an image.
    pub tiles: usize,
}

impl Plane {
    /// The images of a convolution and its results with `filters` channels. Tiles of images overlap;
    /// those of results do not.
    pub fn pair(geometry: Geometry, filters: usize) -> [Self; 2] {
        let across = geometry.out_width().div_ceil(OUTPUTS);
        let images = Self {
            height: geometry.height,
            width: geometry.width,
            channels: geometry.channels,
            before: geometry.padding,
            across,
            tiles: geometry.out_height().div_ceil(OUTPUTS) * across,
        };
        let results = Self {
            height: geometry.out_height(),
            width: geometry.out_width(),
            channels: filters,
            before: 0,
            ..images
        };
        [images, results]
    }

    /// Numbers of an image.
    fn numbers(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Tiles of all images.
    pub fn tiles_of<T>(self, images: &[T]) -> usize {
        images.len() / self.numbers() * self.tiles
    }

    /// The pixels of a tile; `outside` for those that the image does not have.
    #[inline(always)]
    pub fn square<T, const S: usize>(
        self,
        images: *mut T,
        tile: usize,
        outside: *mut T,
    ) -> Square<T, S> {
        let (image, tile) = (tile / self.tiles, tile % self.tiles);
        let first = images.wrapping_add(image * self.numbers());
        let [top, left] = [tile / self.across, tile % self.across].map(|t| t * OUTPUTS);
        let mut rows = [[outside; S]; S];
        for i in 0..S {
            // Wraps around to a large number above the image.
            let y = (top + i).wrapping_sub(self.before);
            for j in 0..S {
                let x = (left + j).wrapping_sub(self.before);
                if y < self.height && x < self.width {
                    rows[i][j] = first.wrapping_add((y * self.width + x) * self.channels);
                }
            }
        }
        Square {
            rows,
            width: self.channels,
        }
    }
}
