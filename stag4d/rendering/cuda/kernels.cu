// Kernels of the CUDA backend: projection, tiling and compositing of Gaussians, and their gradients.
//
// NVRTC compiles this file at run time, so it includes nothing; HIPRTC does for AMD GPUs. The host defines CHANNELS, the
// number of composited channels, and TILE_SIZE, MAX_STRIPS and BLOCK_SIZE of layout.py. REAL is the type of all arrays;
// the tests compile the file for the CPU too, also with double. WIDE is the type of the arithmetic of the projection.
//
// A splat is a Gaussian in one camera. The splats [C * N] are numbered camera by camera, the tiles camera by camera and
// row by row. An intersection is one splat in one tile. As in numba/projection.py a splat has the exponent
//
//     sigma(dx, dy) = precision_x (dx - slope dy)^2 + precision_y dy^2,    alpha = opacity exp(-sigma)
//
// where (dx, dy) is its mean minus the pixel center, and with the 2D covariance [[a, b], [b, c]]
//
//     slope = b / c,    precision_x = 1 / (2 (a - slope b)),    precision_y = 1 / (2 c).
//
// There are no atomic operations, and sums have a fixed order: two runs give the same bits.

#ifndef REAL
#define REAL float
#endif
#ifndef WIDE
#define WIDE double
#endif
#if defined(__CUDACC__) || defined(__HIP__)
#define EXP __expf  // relative error below 1e-6 for the exponents of visible splats, -5.6 to 0
#else
#define EXP exp
#endif
#ifdef __HIP__  // wavefronts have 32 or 64 lanes; a vote of 64 is true where one of 32 is
#define __shfl_xor_sync(lanes, value, step) __shfl_xor(value, step, WARP_SIZE)
#define __any_sync(lanes, vote) __any(vote)
#endif
#define KERNEL extern "C" __global__ void __launch_bounds__(BLOCK_SIZE)

static_assert(BLOCK_SIZE == TILE_SIZE * TILE_SIZE, "a thread composites one pixel of a tile");
#define WARP_SIZE 32
#define NUM_WARPS (BLOCK_SIZE / WARP_SIZE)
#define ALL_LANES 0xffffffffu
#define BACKWARD_BATCH 32  // splats in shared memory

// Sums per splat and tile: six moments of dL/dalpha alpha, and the gradients to the channels.
#define NUM_MOMENTS 6
#define NUM_SUMS (NUM_MOMENTS + CHANNELS)
#define PADDED_SUMS (NUM_SUMS <= 8 ? 8 : 16)
static_assert(NUM_SUMS <= PADDED_SUMS, "at most MAX_CHANNELS");

// The limits of torch/constants.py
#define MIN_ALPHA REAL(1.0f / 255.0f)
#define MAX_ALPHA REAL(0.99f)
#define MIN_TRANSMITTANCE REAL(1e-4f)
#define MAX_EXTENT WIDE(3.33)  // standard deviations
#define FAR_PLANE WIDE(1e10)
#define MAX_RADIUS WIDE(1073741824.0)  // pixels
#define FOV_MARGIN WIDE(0.3)  // of the tangent of half the field of view
#define MIN_VARIANCE WIDE(1e-30)  // square pixels; products with their inverses stay finite in float
#define MAX_VARIANCE WIDE(1e30)

typedef long long Index;

// ---------------------------------------------------------------------------------------------------------- projection

struct Camera {
    WIDE rotation[3][3], translation[3], focal[2], center[2];
    WIDE min_ratio[2], max_ratio[2];  // limits of x / z and y / z in the Jacobian; none of orthographic cameras
    bool is_pinhole;
};

__device__ inline Camera load_camera(const REAL* viewmat, const REAL* K, int width, int height, int is_pinhole) {
    Camera camera;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) camera.rotation[i][j] = viewmat[i * 4 + j];
        camera.translation[i] = viewmat[i * 4 + 3];
    }
    WIDE size[2] = {WIDE(width), WIDE(height)};
    for (int i = 0; i < 2; ++i) {
        camera.focal[i] = K[i * 4];
        camera.center[i] = K[i * 3 + 2];
        WIDE margin = WIDE(0.5) * FOV_MARGIN * size[i];
        camera.min_ratio[i] = -(camera.center[i] + margin) / camera.focal[i];
        camera.max_ratio[i] = (size[i] - camera.center[i] + margin) / camera.focal[i];
    }
    camera.is_pinhole = is_pinhole;
    return camera;
}

struct Projection {
    WIDE point[3];  // in the camera
    WIDE inverse_z;  // 1 if orthographic
    WIDE ratio[2];  // x / z and y / z, clamped for the Jacobian; 0 if orthographic
    WIDE inverse_norm, quat[4], rotation[3][3];  // columns: the Gaussian's axes
    WIDE world_to_image[2][3];  // J W, linearized at the point
    WIDE axes[2][3];  // J W R, the Gaussian's unit axes in the image
    WIDE a, b, c;  // the blurred 2D covariance
};

__device__ inline Projection project_gaussian(
    const Camera& camera, const REAL* mean, const REAL* quat, const REAL* scale, WIDE eps2d) {
    Projection p;
    for (int i = 0; i < 3; ++i)
        p.point[i] = camera.rotation[i][0] * mean[0] + camera.rotation[i][1] * mean[1] +
                     camera.rotation[i][2] * mean[2] + camera.translation[i];
    // J = [[fx / z, 0, -fx x / z^2], [0, fy / z, -fy y / z^2]]; orthographic [[fx, 0, 0], [0, fy, 0]]
    p.inverse_z = camera.is_pinhole ? WIDE(1) / p.point[2] : WIDE(1);
    for (int i = 0; i < 2; ++i) {
        WIDE ratio = p.point[i] * p.inverse_z;
        ratio = ratio < camera.min_ratio[i] ? camera.min_ratio[i] : ratio;
        ratio = ratio > camera.max_ratio[i] ? camera.max_ratio[i] : ratio;
        p.ratio[i] = camera.is_pinhole ? ratio : WIDE(0);
        for (int j = 0; j < 3; ++j)
            p.world_to_image[i][j] =
                camera.focal[i] * p.inverse_z * (camera.rotation[i][j] - p.ratio[i] * camera.rotation[2][j]);
    }
    WIDE norm2 = 0;
    for (int i = 0; i < 4; ++i) norm2 += WIDE(quat[i]) * quat[i];
    p.inverse_norm = WIDE(1) / sqrt(norm2);
    for (int i = 0; i < 4; ++i) p.quat[i] = quat[i] * p.inverse_norm;
    WIDE w = p.quat[0], x = p.quat[1], y = p.quat[2], z = p.quat[3];
    WIDE rotation[3][3] = {
        {1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
        {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
        {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)},
    };
    p.a = p.c = eps2d;
    p.b = 0;
    for (int k = 0; k < 3; ++k) {
        for (int i = 0; i < 3; ++i) p.rotation[i][k] = rotation[i][k];
        for (int i = 0; i < 2; ++i)
            p.axes[i][k] = p.world_to_image[i][0] * rotation[0][k] + p.world_to_image[i][1] * rotation[1][k] +
                           p.world_to_image[i][2] * rotation[2][k];
        WIDE variance = WIDE(scale[k]) * scale[k];
        p.a += variance * p.axes[0][k] * p.axes[0][k];
        p.b += variance * p.axes[0][k] * p.axes[1][k];
        p.c += variance * p.axes[1][k] * p.axes[1][k];
    }
    return p;
}

__device__ inline int floor_between(REAL value, int low, int high) {
    value = floor(value);
    return value < REAL(low) ? low : (value > REAL(high) ? high : int(value));
}

struct Ellipse {
    REAL x, y, precision_x, slope, precision_y;
    REAL max_sigma;  // the exponent at its border, where alpha falls to 1/255
};

// Returns the columns [begin, end) of tiles, in rows [top, bottom) of tiles, whose pixel centers the ellipse reaches.
__device__ inline void reached_columns(const Ellipse& e, int top, int bottom, int num_columns, int* begin, int* end) {
    REAL variance_y = REAL(0.5) / e.precision_y;
    REAL variance_x = REAL(0.5) / e.precision_x + e.slope * e.slope * variance_y;
    REAL radius_y = sqrt(2 * e.max_sigma * variance_y);
    REAL low = top * TILE_SIZE + REAL(0.5) - e.y, high = bottom * TILE_SIZE - REAL(0.5) - e.y;  // of pixel centers
    low = low > -radius_y ? low : -radius_y;
    high = high < radius_y ? high : radius_y;
    *begin = *end = 0;
    if (!(low <= high)) return;
    // Without limits x is largest at y = cov_xy sqrt(2 max_sigma / cov_xx), and smallest at minus that.
    REAL extreme = e.slope * variance_y * sqrt(2 * e.max_sigma / variance_x);
    REAL at_right = extreme < low ? low : (extreme > high ? high : extreme);
    REAL at_left = -extreme < low ? low : (-extreme > high ? high : -extreme);
    REAL right2 = (e.max_sigma - e.precision_y * at_right * at_right) / e.precision_x;
    REAL left2 = (e.max_sigma - e.precision_y * at_left * at_left) / e.precision_x;
    REAL right = e.x + e.slope * at_right + sqrt(right2 > 0 ? right2 : REAL(0));
    REAL left = e.x + e.slope * at_left - sqrt(left2 > 0 ? left2 : REAL(0));
    REAL slack = REAL(0.01) + REAL(1e-6) * (fabs(left) + fabs(right));  // for rounding, pixels
    int first = floor_between((left - REAL(0.5) - slack) / TILE_SIZE, -1, num_columns);
    int last = floor_between((right - REAL(0.5) + slack) / TILE_SIZE, -1, num_columns);
    *begin = first < 0 ? 0 : first;
    *end = last + 1 < num_columns ? last + 1 : num_columns;
    if (*end < *begin) *end = *begin;
}

// The tiles of a splat, as integers that the listing only reads: if it computed them again, another rounding could
// give another number of tiles than was counted. The rows of tiles form at most MAX_STRIPS strips of equal height;
// each has a range of columns. Splats of up to MAX_STRIPS rows, nearly all, have one row per strip.
struct TileSpans {
    short first_row, num_rows;
    short columns[MAX_STRIPS][2];  // begin, end
};

__device__ inline int strip_height(int num_rows) { return (num_rows + MAX_STRIPS - 1) / MAX_STRIPS; }

// Projects Gaussians; one thread per splat. All outputs of culled splats are 0, except for their spans.
KERNEL project(
    int num_cameras, int num_gaussians, const REAL* means, const REAL* quats, const REAL* scales, const REAL* opacities,
    const REAL* viewmats, const REAL* Ks, int width, int height, int is_pinhole, REAL near_plane, REAL eps2d,
    REAL* means2d, REAL* ellipses, REAL* depths, int* radii, int* num_tiles, TileSpans* spans) {
    Index splat = Index(blockIdx.x) * BLOCK_SIZE + threadIdx.x;
    if (splat >= Index(num_cameras) * num_gaussians) return;
    Index camera_id = splat / num_gaussians, n = splat % num_gaussians;
    Camera camera = load_camera(viewmats + camera_id * 16, Ks + camera_id * 9, width, height, is_pinhole);
    Projection p = project_gaussian(camera, means + n * 3, quats + n * 4, scales + n * 3, WIDE(eps2d));
    REAL opacity = opacities[n];
    WIDE slope = p.b / p.c, variance_x = p.a - slope * p.b, z = p.point[2];
    WIDE mean_x = camera.focal[0] * p.point[0] * p.inverse_z + camera.center[0];
    WIDE mean_y = camera.focal[1] * p.point[1] * p.inverse_z + camera.center[1];
    // alpha = o exp(-r^2 / 2) falls to 1 / 255 at r = sqrt(2 ln(255 o)), which is NaN for o < 1 / 255
    WIDE extent = sqrt(2 * log(WIDE(255) * opacity));
    extent = extent < MAX_EXTENT ? extent : MAX_EXTENT;
    WIDE radius_x = ceil(extent * sqrt(p.a)), radius_y = ceil(extent * sqrt(p.c));
    // Every comparison is false for NaN, so Gaussians that are not finite are culled.
    bool visible = opacity >= MIN_ALPHA && opacity < REAL(1e30) && z >= WIDE(near_plane) && z <= FAR_PLANE &&
                   p.inverse_norm < WIDE(1e30) && variance_x > MIN_VARIANCE && variance_x < MAX_VARIANCE &&
                   p.c > MIN_VARIANCE && p.c < MAX_VARIANCE && radius_x > 0 && radius_y > 0 && mean_x + radius_x > 0 &&
                   mean_y + radius_y > 0 && mean_x - radius_x < width && mean_y - radius_y < height;
    Ellipse e = {
        REAL(mean_x), REAL(mean_y), REAL(WIDE(0.5) / variance_x), REAL(slope), REAL(WIDE(0.5) / p.c),
        REAL(WIDE(0.5) * extent * extent)};
    means2d[splat * 2] = visible ? e.x : REAL(0);
    means2d[splat * 2 + 1] = visible ? e.y : REAL(0);
    ellipses[splat * 4] = visible ? e.precision_x : REAL(0);
    ellipses[splat * 4 + 1] = visible ? e.slope : REAL(0);
    ellipses[splat * 4 + 2] = visible ? e.precision_y : REAL(0);
    ellipses[splat * 4 + 3] = visible ? opacity : REAL(0);
    depths[splat] = visible ? REAL(z) : REAL(0);
    radii[splat * 2] = visible ? int(radius_x < MAX_RADIUS ? radius_x : MAX_RADIUS) : 0;
    radii[splat * 2 + 1] = visible ? int(radius_y < MAX_RADIUS ? radius_y : MAX_RADIUS) : 0;
    int total = 0;
    if (visible) {
        int num_columns = (width + TILE_SIZE - 1) / TILE_SIZE, rows = (height + TILE_SIZE - 1) / TILE_SIZE;
        REAL end = sqrt(2 * e.max_sigma * REAL(p.c));
        end += REAL(0.01) + REAL(1e-6) * (fabs(e.y) + end);  // for rounding
        int first_row = floor_between((e.y - end) / TILE_SIZE, 0, rows);
        int num_rows = floor_between((e.y + end) / TILE_SIZE, -1, rows - 1) + 1 - first_row;
        if (num_rows < 0) num_rows = 0;
        spans[splat].first_row = short(first_row);
        spans[splat].num_rows = short(num_rows);
        int step = strip_height(num_rows);
        for (int strip = 0; strip * step < num_rows; ++strip) {
            int top = strip * step, bottom = top + step < num_rows ? top + step : num_rows, begin, end;
            reached_columns(e, first_row + top, first_row + bottom, num_columns, &begin, &end);
            spans[splat].columns[strip][0] = short(begin);
            spans[splat].columns[strip][1] = short(end);
            total += (bottom - top) * (end - begin);
        }
    }
    num_tiles[splat] = total;
}

// Lists the intersections of the splats in the order of their depths; one thread per splat. `depth_order` has the
// splats from near to far, and `ends` the sums of their numbers of tiles up to and including each.
KERNEL list_tiles(
    int num_splats, int num_gaussians, int width, int height, const Index* depth_order, const Index* ends,
    const int* num_tiles, const TileSpans* spans, int* tile_ids, int* splat_ids) {
    Index rank = Index(blockIdx.x) * BLOCK_SIZE + threadIdx.x;
    if (rank >= num_splats) return;
    int splat = int(depth_order[rank]);
    if (num_tiles[splat] == 0) return;
    int num_columns = (width + TILE_SIZE - 1) / TILE_SIZE, rows = (height + TILE_SIZE - 1) / TILE_SIZE;
    const TileSpans* span = spans + splat;
    int first_row = span->first_row, num_rows = span->num_rows, step = strip_height(num_rows);
    int first_tile = splat / num_gaussians * rows * num_columns;
    Index place = ends[rank] - num_tiles[splat];
    for (int row = 0; row < num_rows; ++row) {
        int begin = span->columns[row / step][0], end = span->columns[row / step][1];
        for (int column = begin; column < end; ++column, ++place) {
            tile_ids[place] = first_tile + (first_row + row) * num_columns + column;
            splat_ids[place] = splat;
        }
    }
}

// --------------------------------------------------------------------------------------------------------- compositing

struct Pixel {
    int x, y;
    Index id;
    bool inside;
};

// A warp covers 8 x 4 pixels: the squarer, the more warps does a small splat miss.
__device__ inline Pixel pixel_of_thread(int tile, int width, int height) {
    int num_columns = (width + TILE_SIZE - 1) / TILE_SIZE, rows = (height + TILE_SIZE - 1) / TILE_SIZE;
    int camera = tile / (num_columns * rows), in_image = tile % (num_columns * rows);
    int warp = threadIdx.x / WARP_SIZE, lane = threadIdx.x % WARP_SIZE;
    Pixel pixel;
    pixel.x = in_image % num_columns * TILE_SIZE + warp % 2 * 8 + lane % 8;
    pixel.y = in_image / num_columns * TILE_SIZE + warp / 2 * 4 + lane / 8;
    pixel.id = (Index(camera) * height + pixel.y) * width + pixel.x;
    pixel.inside = pixel.x < width && pixel.y < height;
    return pixel;
}

struct Splat {
    REAL x, y, precision_x, slope, precision_y, opacity;
};

__device__ inline Splat load_splat(Index id, const REAL* means2d, const REAL* ellipses) {
    return {means2d[id * 2],      means2d[id * 2 + 1],  ellipses[id * 4],
            ellipses[id * 4 + 1], ellipses[id * 4 + 2], ellipses[id * 4 + 3]};
}

struct Sample {
    REAL u, dy;  // dx - slope dy, and dy
    REAL alpha;  // not yet clamped
};

// The fused operations are written out, so that all kernels get the same bits and decide alike at the thresholds.
__device__ inline Sample sample_splat(const Splat& splat, REAL x, REAL y) {
    REAL dy = splat.y - y, u = fma(-splat.slope, dy, splat.x - x);
    REAL sigma = fma(splat.precision_x * u, u, splat.precision_y * dy * dy);
    return {u, dy, splat.opacity * EXP(-sigma)};
}

// Composites front to back; one block per tile, one thread per pixel, BLOCK_SIZE splats at a time in shared memory.
// The splats of tile t are splat_ids[tile_starts[t] : tile_starts[t + 1]].
KERNEL composite(
    const int* tile_starts, const int* splat_ids, const REAL* means2d, const REAL* ellipses, const REAL* channels,
    const REAL* backgrounds, int width, int height, REAL* renders, REAL* alphas) {
    __shared__ Splat splats[BLOCK_SIZE];
    __shared__ REAL colors[BLOCK_SIZE][CHANNELS];
    int tile = blockIdx.x;
    Pixel pixel = pixel_of_thread(tile, width, height);
    bool done = !pixel.inside;
    REAL x = pixel.x + REAL(0.5), y = pixel.y + REAL(0.5), transmittance = 1, sums[CHANNELS];
    for (int k = 0; k < CHANNELS; ++k) sums[k] = 0;
    int begin = tile_starts[tile], end = tile_starts[tile + 1];
    for (int first = begin; first < end; first += BLOCK_SIZE) {
        if (__syncthreads_count(done) == BLOCK_SIZE) break;
        if (threadIdx.x < end - first) {
            Index id = splat_ids[first + threadIdx.x];
            splats[threadIdx.x] = load_splat(id, means2d, ellipses);
            for (int k = 0; k < CHANNELS; ++k) colors[threadIdx.x][k] = channels[id * CHANNELS + k];
        }
        __syncthreads();
        int batch = end - first < BLOCK_SIZE ? end - first : BLOCK_SIZE;
        for (int j = 0; j < batch && !done; ++j) {
            REAL alpha = sample_splat(splats[j], x, y).alpha;
            alpha = alpha < MAX_ALPHA ? alpha : MAX_ALPHA;
            if (alpha < MIN_ALPHA) continue;
            REAL next = transmittance * (1 - alpha);
            if (next <= MIN_TRANSMITTANCE) {
                done = true;
                break;
            }
            REAL weight = alpha * transmittance;
            for (int k = 0; k < CHANNELS; ++k) sums[k] += weight * colors[j][k];
            transmittance = next;
        }
    }
    if (!pixel.inside) return;
    const REAL* background = backgrounds + pixel.id / (Index(width) * height) * CHANNELS;
    for (int k = 0; k < CHANNELS; ++k) renders[pixel.id * CHANNELS + k] = sums[k] + transmittance * background[k];
    alphas[pixel.id] = 1 - transmittance;
}

// Sums 2 HALF values over a warp. Each step halves their number: a lane keeps one half and adds what another lane has of
// it. The sum of value i ends in the lanes from i * WARP_SIZE / (2 HALF) on, as values[0]. A template, so that the
// compiler keeps the values in registers.
template <int HALF, int STEP = WARP_SIZE / 2>
__device__ inline void sum_over_warp(REAL* values, int lane) {
    if constexpr (HALF > 0) {
        bool upper = lane & STEP;
#pragma unroll
        for (int k = 0; k < HALF; ++k) {
            REAL kept = upper ? values[k + HALF] : values[k], sent = upper ? values[k] : values[k + HALF];
            values[k] = kept + __shfl_xor_sync(ALL_LANES, sent, STEP);
        }
        sum_over_warp<HALF / 2, STEP / 2>(values, lane);
    } else if constexpr (STEP > 0) {
        values[0] += __shfl_xor_sync(ALL_LANES, values[0], STEP);
        sum_over_warp<0, STEP / 2>(values, lane);
    }
}

// Computes the sums of each intersection, again front to back. Let g be the gradients to a pixel's channels, c a
// splat's channels, T the transmittance in front of it, and `rest` what all splats behind it and the background add to
// the loss; a splat's alpha scales its own part and attenuates the rest:
//
//     dL/dalpha = T (c . g) - rest / (1 - alpha)
//
// `rest` begins as the render times g, less the part of alpha's gradient, and loses weight (c . g) at each splat. So
// nothing is divided by T, and the forward pass keeps nothing. Each intersection has a row of `rows` to itself.
KERNEL composite_backward(
    const int* tile_starts, const int* splat_ids, const Index* row_ids, const REAL* means2d, const REAL* ellipses,
    const REAL* channels, const REAL* renders, const REAL* alphas, const REAL* g_renders, const REAL* g_alphas,
    int width, int height, REAL* rows) {
    __shared__ Splat splats[BACKWARD_BATCH];
    __shared__ REAL colors[BACKWARD_BATCH][CHANNELS];
    __shared__ REAL partial[NUM_WARPS][BACKWARD_BATCH][NUM_SUMS];
    int tile = blockIdx.x, warp = threadIdx.x / WARP_SIZE, lane = threadIdx.x % WARP_SIZE;
    Pixel pixel = pixel_of_thread(tile, width, height);
    bool done = !pixel.inside;
    REAL x = pixel.x + REAL(0.5), y = pixel.y + REAL(0.5), transmittance = 1, rest = 0, g[CHANNELS];
    for (int k = 0; k < CHANNELS; ++k) {
        g[k] = pixel.inside ? g_renders[pixel.id * CHANNELS + k] : REAL(0);
        if (pixel.inside) rest += g[k] * renders[pixel.id * CHANNELS + k];
    }
    if (pixel.inside) rest -= (1 - alphas[pixel.id]) * g_alphas[pixel.id];
    int begin = tile_starts[tile], end = tile_starts[tile + 1];
    for (int first = begin; first < end; first += BACKWARD_BATCH) {
        int batch = end - first < BACKWARD_BATCH ? end - first : BACKWARD_BATCH;
        bool all_done = __syncthreads_count(done) == BLOCK_SIZE;
        if (!all_done) {
            if (threadIdx.x < batch) {
                Index id = splat_ids[first + threadIdx.x];
                splats[threadIdx.x] = load_splat(id, means2d, ellipses);
                for (int k = 0; k < CHANNELS; ++k) colors[threadIdx.x][k] = channels[id * CHANNELS + k];
            }
            __syncthreads();
            for (int j = 0; j < batch; ++j) {
                Sample sample = sample_splat(splats[j], x, y);
                REAL alpha = sample.alpha < MAX_ALPHA ? sample.alpha : MAX_ALPHA, weight = 0, moment = 0;
                if (!done && alpha >= MIN_ALPHA) {
                    REAL next = transmittance * (1 - alpha);
                    if (next <= MIN_TRANSMITTANCE) {
                        done = true;
                    } else {
                        REAL dot = 0;
                        for (int k = 0; k < CHANNELS; ++k) dot += g[k] * colors[j][k];
                        weight = alpha * transmittance;
                        rest -= weight * dot;
                        if (sample.alpha <= MAX_ALPHA) moment = alpha * (transmittance * dot - rest / (1 - alpha));
                        transmittance = next;
                    }
                }
                REAL sums[PADDED_SUMS] = {0};
                if (__any_sync(ALL_LANES, weight != 0)) {
                    REAL u = sample.u, dy = sample.dy;
                    sums[0] = moment;
                    sums[1] = moment * u;
                    sums[2] = moment * dy;
                    sums[3] = moment * u * u;
                    sums[4] = moment * u * dy;
                    sums[5] = moment * dy * dy;
                    for (int k = 0; k < CHANNELS; ++k) sums[NUM_MOMENTS + k] = weight * g[k];
                    sum_over_warp<PADDED_SUMS / 2>(sums, lane);
                }
                int sum = lane / (WARP_SIZE / PADDED_SUMS);
                if (lane % (WARP_SIZE / PADDED_SUMS) == 0 && sum < NUM_SUMS) partial[warp][j][sum] = sums[0];
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < batch * NUM_SUMS; i += BLOCK_SIZE) {
            REAL sum = 0;
            if (!all_done)
                for (int w = 0; w < NUM_WARPS; ++w) sum += partial[w][i / NUM_SUMS][i % NUM_SUMS];
            rows[row_ids[first + i / NUM_SUMS] * NUM_SUMS + i % NUM_SUMS] = sum;
        }
    }
}

// Adds up the rows of each splat, which are adjacent, and turns the moments into gradients; one thread per splat.
KERNEL sum_rows(
    int num_splats, const Index* depth_order, const Index* ends, const int* num_tiles, const REAL* ellipses,
    const REAL* rows, REAL* g_means2d, REAL* g_ellipses, REAL* g_channels) {
    Index rank = Index(blockIdx.x) * BLOCK_SIZE + threadIdx.x;
    if (rank >= num_splats) return;
    Index splat = depth_order[rank];
    REAL sums[NUM_SUMS];
    for (int k = 0; k < NUM_SUMS; ++k) sums[k] = 0;
    for (Index row = ends[rank] - num_tiles[splat]; row < ends[rank]; ++row)
        for (int k = 0; k < NUM_SUMS; ++k) sums[k] += rows[row * NUM_SUMS + k];
    // dL/dsigma = -dL/dalpha alpha, whose moments are summed
    REAL precision_x = ellipses[splat * 4], slope = ellipses[splat * 4 + 1], precision_y = ellipses[splat * 4 + 2];
    REAL opacity = ellipses[splat * 4 + 3];
    g_means2d[splat * 2] = -2 * precision_x * sums[1];
    g_means2d[splat * 2 + 1] = 2 * precision_x * slope * sums[1] - 2 * precision_y * sums[2];
    g_ellipses[splat * 4] = -sums[3];
    g_ellipses[splat * 4 + 1] = 2 * precision_x * sums[4];
    g_ellipses[splat * 4 + 2] = -sums[5];
    g_ellipses[splat * 4 + 3] = opacity > 0 ? sums[0] / opacity : REAL(0);
    for (int k = 0; k < CHANNELS; ++k) g_channels[splat * CHANNELS + k] = sums[NUM_MOMENTS + k];
}

// ----------------------------------------------------------------------------------------------- gradient of projection

// Computes the gradients to the Gaussians, summed over the cameras; one thread per Gaussian.
KERNEL project_backward(
    int num_cameras, int num_gaussians, const REAL* means, const REAL* quats, const REAL* scales, const REAL* viewmats,
    const REAL* Ks, int width, int height, int is_pinhole, REAL eps2d, const int* radii, const REAL* g_means2d,
    const REAL* g_ellipses, const REAL* g_depths, REAL* g_means, REAL* g_quats, REAL* g_scales, REAL* g_opacities) {
    Index n = Index(blockIdx.x) * BLOCK_SIZE + threadIdx.x;
    if (n >= num_gaussians) return;
    WIDE g_mean[3] = {0, 0, 0}, g_quat[4] = {0, 0, 0, 0}, g_scale[3] = {0, 0, 0}, g_opacity = 0;
    for (int camera_id = 0; camera_id < num_cameras; ++camera_id) {
        Index splat = Index(camera_id) * num_gaussians + n;
        if (radii[splat * 2] == 0) continue;
        Camera camera =
            load_camera(viewmats + Index(camera_id) * 16, Ks + Index(camera_id) * 9, width, height, is_pinhole);
        Projection p = project_gaussian(camera, means + n * 3, quats + n * 4, scales + n * 3, WIDE(eps2d));

        // To the covariance [[a, b], [b, c]] from precision_x, slope and precision_y
        const REAL* g_ellipse = g_ellipses + splat * 4;
        WIDE slope = p.b / p.c, precision_x = WIDE(0.5) / (p.a - slope * p.b), precision_y = WIDE(0.5) / p.c;
        WIDE g_a = -2 * precision_x * precision_x * g_ellipse[0];
        WIDE g_b = -2 * slope * g_a + g_ellipse[1] / p.c;
        WIDE g_c = slope * slope * g_a - slope / p.c * g_ellipse[1] - 2 * precision_y * precision_y * g_ellipse[2];
        g_opacity += g_ellipse[3];

        // To the axes in the image, and from there to scales and rotation
        WIDE g_axes[2][3], g_rotation[3][3];
        for (int k = 0; k < 3; ++k) {
            WIDE scale = scales[n * 3 + k], scaled_x = scale * p.axes[0][k], scaled_y = scale * p.axes[1][k];
            WIDE g_x = 2 * g_a * scaled_x + g_b * scaled_y, g_y = 2 * g_c * scaled_y + g_b * scaled_x;
            g_scale[k] += g_x * p.axes[0][k] + g_y * p.axes[1][k];
            g_axes[0][k] = g_x * scale;
            g_axes[1][k] = g_y * scale;
            for (int j = 0; j < 3; ++j)
                g_rotation[j][k] = p.world_to_image[0][j] * g_axes[0][k] + p.world_to_image[1][j] * g_axes[1][k];
        }

        // To the point in the camera: through J of the covariance, the mean in the image, and the depth
        WIDE g_point[3] = {0, 0, WIDE(g_depths[splat])};
        for (int i = 0; i < 2; ++i) {
            WIDE g_mean2d = g_means2d[splat * 2 + i];
            g_point[i] += camera.focal[i] * p.inverse_z * g_mean2d;
            if (!camera.is_pinhole) continue;  // J is constant
            WIDE ratio = p.point[i] * p.inverse_z, along = 0, forward = 0;
            g_point[2] -= camera.focal[i] * ratio * p.inverse_z * g_mean2d;
            for (int j = 0; j < 3; ++j) {
                WIDE g_entry = 0;  // of J W
                for (int k = 0; k < 3; ++k) g_entry += g_axes[i][k] * p.rotation[j][k];
                along += g_entry * p.world_to_image[i][j];
                forward += g_entry * camera.rotation[2][j];
            }
            g_point[2] -= along * p.inverse_z;
            if (ratio >= camera.min_ratio[i] && ratio <= camera.max_ratio[i]) {
                WIDE g_ratio = -camera.focal[i] * p.inverse_z * forward;
                g_point[i] += g_ratio * p.inverse_z;
                g_point[2] -= g_ratio * ratio * p.inverse_z;
            }
        }
        for (int j = 0; j < 3; ++j)
            for (int i = 0; i < 3; ++i) g_mean[j] += camera.rotation[i][j] * g_point[i];

        // To the unit quaternion, and through its normalization
        WIDE w = p.quat[0], x = p.quat[1], y = p.quat[2], z = p.quat[3], (&r)[3][3] = g_rotation;
        WIDE g_unit[4] = {
            2 * (x * (r[2][1] - r[1][2]) + y * (r[0][2] - r[2][0]) + z * (r[1][0] - r[0][1])),
            2 * (y * (r[0][1] + r[1][0]) + z * (r[0][2] + r[2][0]) + w * (r[2][1] - r[1][2]) - 2 * x * (r[1][1] + r[2][2])),
            2 * (x * (r[0][1] + r[1][0]) + z * (r[1][2] + r[2][1]) + w * (r[0][2] - r[2][0]) - 2 * y * (r[0][0] + r[2][2])),
            2 * (x * (r[0][2] + r[2][0]) + y * (r[1][2] + r[2][1]) + w * (r[1][0] - r[0][1]) - 2 * z * (r[0][0] + r[1][1])),
        };
        WIDE dot = 0;
        for (int k = 0; k < 4; ++k) dot += p.quat[k] * g_unit[k];
        for (int k = 0; k < 4; ++k) g_quat[k] += (g_unit[k] - p.quat[k] * dot) * p.inverse_norm;
    }
    for (int j = 0; j < 3; ++j) {
        g_means[n * 3 + j] = REAL(g_mean[j]);
        g_scales[n * 3 + j] = REAL(g_scale[j]);
    }
    for (int k = 0; k < 4; ++k) g_quats[n * 4 + k] = REAL(g_quat[k]);
    g_opacities[n] = REAL(g_opacity);
}
