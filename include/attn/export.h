#ifndef ATTN_EXPORT_H
#define ATTN_EXPORT_H

/* ATTN_API marks what the shared library shows; everything else in it is hidden. C and C++. */
#if defined(__GNUC__)
#define ATTN_API __attribute__((visibility("default")))
#else
#define ATTN_API
#endif

#endif
