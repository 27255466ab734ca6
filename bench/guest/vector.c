// SPDX-License-Identifier: GPL-2.0-or-later
/* what: rows of floating point, SIMD, x87, string and crypto instructions. */
#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "bench.h"

#define ORDER 128
#define OPTIMIZED __attribute__((optimize("O3")))       /* so that the loops become vector code */

#define MATRIX_PRODUCT(name, type) \
	static OPTIMIZED uint64_t name(uint64_t n) \
	{ \
		static type a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER]; \
		for (int i = 0; i < ORDER * ORDER; i++) { \
			a[i / ORDER][i % ORDER] = (type)(i % 7); \
			b[i / ORDER][i % ORDER] = (type)(i % 5); \
		} \
		while (n--) { \
			memset(c, 0, sizeof(c)); \
			for (int i = 0; i < ORDER; i++) \
				for (int k = 0; k < ORDER; k++) \
					for (int j = 0; j < ORDER; j++) \
						c[i][j] += a[i][k] * b[k][j]; \
			keep(&c); \
		} \
		return 0; \
	}

MATRIX_PRODUCT(run_dgemm, double)
MATRIX_PRODUCT(run_sgemm, float)

static float series[4096] __attribute__((aligned(64)));

__attribute__((target("avx2,fma"))) static uint64_t run_avx2(uint64_t n)
{
	__m256 factor = _mm256_set1_ps(0.999f), sum = _mm256_setzero_ps();
	__m256i bits = _mm256_setzero_si256();

	while (n--)
		for (size_t i = 0; i < 4096; i += 8) {
			__m256 value = _mm256_load_ps(series + i);

			sum = _mm256_fmadd_ps(value, factor, sum);
			_mm256_store_ps(series + i, _mm256_add_ps(value, factor));
			bits = _mm256_add_epi32(bits, _mm256_shuffle_epi8(_mm256_castps_si256(value), bits));
		}
	keep(&sum);
	keep(&bits);
	return 0;
}

__attribute__((target("avx512f"))) static uint64_t run_avx512(uint64_t n)
{
	__m512 factor = _mm512_set1_ps(0.999f), sum = _mm512_setzero_ps();

	while (n--)
		for (size_t i = 0; i < 4096; i += 16) {
			__m512 value = _mm512_load_ps(series + i);
			__mmask16 large = _mm512_cmp_ps_mask(value, factor, _CMP_GT_OQ);

			sum = _mm512_fmadd_ps(value, factor, sum);
			_mm512_store_ps(series + i, _mm512_mask_add_ps(value, large, value, factor));
		}
	keep(&sum);
	return 0;
}

static uint64_t run_divide(uint64_t n)
{
	uint64_t value = 0x123456789abcdef;
	volatile uint64_t divisor = 10;

	while (n--)
		value = value / divisor + 0x123456789abcdef;
	keep(&value);
	return 0;
}

static uint64_t run_sqrt(uint64_t n)
{
	__m128d value = _mm_set_sd(2);

	while (n--)
		value = _mm_add_sd(_mm_sqrt_sd(value, value), value);
	keep(&value);
	return 0;
}

static uint64_t run_x87(uint64_t n)
{
	volatile long double factor = 0.999L;
	long double value = 1;

	while (n--)
		value = value * factor + 1;
	keep(&value);
	return 0;
}

static char source[65536], target[65536];

static void copy_string(size_t size)
{
	void *from = source, *to = target;

	__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(size) : : "memory");
}

static uint64_t run_movs_64(uint64_t n)
{
	while (n--)
		copy_string(64);
	return 0;
}

static uint64_t run_movs_64k(uint64_t n)
{
	while (n--)
		copy_string(sizeof(source));
	return 0;
}

static uint64_t run_stos_4k(uint64_t n)
{
	while (n--) {
		void *to = target;
		size_t count = 1024;

		__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0) : "memory");
	}
	return 0;
}

__attribute__((target("aes,sse4.1"))) static uint64_t run_aes(uint64_t n)
{
	__m128i *data = (__m128i *)source, key = _mm_set1_epi32(0x1234567);

	while (n--)
		for (int block = 0; block < 256; block++) {
			__m128i value = _mm_xor_si128(_mm_loadu_si128(data + block), key);

			for (int round = 0; round < 9; round++)
				value = _mm_aesenc_si128(value, key);
			_mm_storeu_si128(data + block, _mm_aesenclast_si128(value, key));
		}
	return 0;
}

__attribute__((target("sha,sse4.1"))) static uint64_t run_sha(uint64_t n)
{
	const __m128i *data = (const __m128i *)source;
	__m128i low = _mm_set1_epi32(1), high = _mm_set1_epi32(2);

	while (n--)
		for (int block = 0; block < 256; block++) {
			__m128i words = _mm_sha256msg1_epu32(_mm_loadu_si128(data + block), low);

			low = _mm_sha256rnds2_epu32(low, high, words);
			high = _mm_sha256rnds2_epu32(high, low, _mm_shuffle_epi32(words, 0x0e));
		}
	keep(&low);
	keep(&high);
	return 0;
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

static bool has_aes(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_AES && c & bit_SSE4_1;
}

static bool has_sha(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

const struct row vector_rows[] = {
	{"dgemm_128", "vector", run_dgemm, NULL},
	{"sgemm_128", "vector", run_sgemm, NULL},
	{"avx2", "vector", run_avx2, has_avx2},
	{"avx512", "vector", run_avx512, has_avx512},
	{"divide", "vector", run_divide, NULL},
	{"sqrt", "vector", run_sqrt, NULL},
	{"x87", "vector", run_x87, NULL},
	{"rep_movs_64", "vector", run_movs_64, NULL},
	{"rep_movs_64k", "vector", run_movs_64k, NULL},
	{"rep_stos_4k", "vector", run_stos_4k, NULL},
	{"aes", "vector", run_aes, has_aes},
	{"sha", "vector", run_sha, has_sha},
	{0},
};
