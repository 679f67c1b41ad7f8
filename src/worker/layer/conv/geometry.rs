//! Sizes of a convolution.

/// Sizes of one convolution of stride 1 over images `(height, width, channels)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Rows and columns of zeros on each side.
    pub padding: usize,
}

// Kernels ask for sizes while their sums are in registers, which a call would spill.
impl Geometry {
    /// Whether at least one output pixel is left, and no patch is all padding.
    pub fn is_valid(self) -> bool {
        let size = self.height.min(self.width) + 2 * self.padding;
        self.kernel > 0 && self.kernel <= size && self.padding < self.kernel
    }

    #[inline]
    pub fn out_height(self) -> usize {
        self.height + 2 * self.padding + 1 - self.kernel
    }

    #[inline]
    pub fn out_width(self) -> usize {
        self.width + 2 * self.padding + 1 - self.kernel
    }

    /// Numbers of one image.
    #[inline]
    pub fn image(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Output pixels of one image.
    #[inline]
    pub fn pixels(self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Numbers of one patch: what one output pixel sees.
    #[inline]
    pub fn patch(self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// The convolution of the gradient of the output, with `filters` channels, that gives the
    /// gradient of the input.
    pub fn transposed(self, filters: usize) -> Self {
        Self {
            height: self.out_height(),
            width: self.out_width(),
            channels: filters,
            kernel: self.kernel,
            padding: self.kernel - 1 - self.padding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transposed_convolution_gives_the_size_of_the_input_back() {
        let g = Geometry {
            height: 7,
            width: 5,
            channels: 3,
            kernel: 4,
            padding: 1,
        };
        let back = g.transposed(8);
        assert_eq!((back.out_height(), back.out_width()), (7, 5));
        assert_eq!(back.patch(), 4 * 4 * 8);
    }
}
