// candle includes it for a version number.
#pragma once
#define CUDA_VERSION 13000
