// Fused steps of training, each one pass over memory; every kernel has an array twin that it is tested against.
// Compiled for one real type at a time: REAL is float or double.
#ifndef REAL
#define REAL float
#endif

typedef REAL real;
typedef unsigned int u32;
typedef unsigned long long u64;

// Every kernel strides over its items, so that any grid covers them.
#define FOR_EACH(i, n) \
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < (n); i += (u64)gridDim.x * blockDim.x)

// Philox4x32-10 (Salmon et al. 2011): four random words from the index of a block; twin: philox.philox4x32.
__device__ inline void philox4x32(u64 index, u32 key0, u32 key1, u32 word[4])
{
    u32 c0 = (u32)index, c1 = (u32)(index >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; ++round) {
        u64 product0 = (u64)0xD2511F53u * c0;
        u64 product1 = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(product1 >> 32) ^ c1 ^ key0;
        c1 = (u32)product1;
        c2 = (u32)(product0 >> 32) ^ c3 ^ key1;
        c3 = (u32)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

// 30 random bits against 2^30 p: P(1) = floor(2^30 p) / 2^30, exactly 0 and 1 at the ends.
__device__ inline real draw(u32 word, real p)
{
    return (int)(word >> 2) < (int)(p * (real)1073741824) ? (real)1 : (real)0;
}

// Random words [n]; twin: philox.words.
extern "C" __global__ void random_words(u32 *out, u64 n, u32 key0, u32 key1, u64 counter)
{
    FOR_EACH(block, (n + 3) / 4) {
        u32 word[4];
        philox4x32(counter + block, key0, key1, word);
        for (u64 i = 4 * block; i < 4 * block + 4 && i < n; ++i)
            out[i] = word[i % 4];
    }
}

// Draws [n] with probabilities p [n]; twin: DeviceEngine.bernoulli on the strict device.
extern "C" __global__ void bernoulli(const real *p, real *out, u64 n, u32 key0, u32 key1, u64 counter)
{
    FOR_EACH(block, (n + 3) / 4) {
        u32 word[4];
        philox4x32(counter + block, key0, key1, word);
        for (u64 i = 4 * block; i < 4 * block + 4 && i < n; ++i)
            out[i] = draw(word[i % 4], p[i]);
    }
}

__device__ inline real sigmoid_of(real logit)
{
    return (real)0.5 * ((real)1 + tanh((real)0.5 * logit));
}

// sigmoid(x + bias) [n], rows of `width` sharing a bias, which may be null; twin: numerics.sigmoid.
extern "C" __global__ void sigmoid(const real *x, const real *bias, real *out, u64 n, u64 width)
{
    FOR_EACH(i, n) out[i] = sigmoid_of(bias ? x[i] + bias[i % width] : x[i]);
}

// Draws [n] with probabilities sigmoid(x + bias), rows of `width` sharing a bias; twin: DeviceEngine's method.
// bias and mean may be null. out, mean and x may be the same memory.
extern "C" __global__ void bernoulli_from_logits(const real *x, const real *bias, real *out, real *mean,
                                                 u64 n, u64 width, u32 key0, u32 key1, u64 counter)
{
    FOR_EACH(block, (n + 3) / 4) {
        u32 word[4];
        philox4x32(counter + block, key0, key1, word);
        u64 column = bias ? 4 * block % width : 0;
        for (u64 i = 4 * block; i < 4 * block + 4 && i < n; ++i) {
            real logit = x[i];
            if (bias) {
                logit += bias[column];
                column = column + 1 < width ? column + 1 : 0;
            }
            real p = sigmoid_of(logit);
            if (mean)
                mean[i] = p;
            out[i] = draw(word[i % 4], p);
        }
    }
}

// SGD with weight decay, momentum and Nesterov's momentum; twin: optim.SGD on arrays. velocity may be null.
// The gradient is scaled by *scale (clipping computed on the device) or, where that is null, by host_scale.
extern "C" __global__ void sgd(real *p, const real *g, real *velocity, u64 n, real rate, real momentum,
                               int nesterov, real decay, const real *scale, real host_scale)
{
    real factor = scale ? *scale : host_scale;
    FOR_EACH(i, n) {
        real step = factor * g[i] + decay * p[i];
        if (velocity) {
            real u = momentum * velocity[i] + step;
            velocity[i] = u;
            step = nesterov ? step + momentum * u : u;
        }
        p[i] -= rate * step;
    }
}

// Adam and AdamW (decoupled decay), moments as decayed sums; twin: optim.Adam on arrays.
// `step` and `eps` carry the corrections of both moments.
extern "C" __global__ void adam(real *p, const real *g, real *first, real *second, u64 n, real beta1, real beta2,
                                real step, real eps, real decay, real shrink, const real *scale, real host_scale)
{
    real factor = scale ? *scale : host_scale;
    FOR_EACH(i, n) {
        real gradient = factor * g[i] + decay * p[i];
        real m = beta1 * first[i] + gradient;
        real s = beta2 * second[i] + gradient * gradient;
        first[i] = m;
        second[i] = s;
        p[i] = shrink * p[i] - step * m / (sqrt(s) + eps);
    }
}
