#ifndef ATTN_EXPORT_H
#define ATTN_EXPORT_H

/* ATTN_API marks what the shared library shows; everything else in it is hidden. ATTN_LOCAL hides a
   class inside of a class that is marked. C and C++. */
#if defined(__GNUC__)
#define ATTN_API __attribute__((visibility("default")))
#define ATTN_LOCAL __attribute__((visibility("hidden")))
#else
#define ATTN_API
#define ATTN_LOCAL
#endif

#endif
