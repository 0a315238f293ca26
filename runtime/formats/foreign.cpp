#include "runtime/formats/foreign.hpp"

#include <algorithm>
#include <array>

namespace attn::runtime {
namespace {

struct Row {
  std::string_view magic;  // in lower case where `text`
  bool text;               // blanks before it and the case of letters do not matter
  std::string_view hint;
};

using namespace std::string_view_literals;

constexpr std::string_view web_page =
    "this is a web page: the download saved an answer of the server, not the file";
constexpr std::string_view pickle =
    "this is a Python pickle, as old PyTorch checkpoints are: export it as safetensors";

constexpr std::array<Row, 15> rows{{
    {"<!doctype"sv, true, web_page},
    {"<html"sv, true, web_page},
    {"<head"sv, true, web_page},
    {"<?xml"sv, true, "this is an XML document: perhaps a server's error message"},
    {"version https://git-lfs"sv, true,
     "this is a Git-LFS pointer: fetch the file itself with 'git lfs pull'"},
    {"GGUF"sv, false, "this is a GGUF file"},
    {"PK\x03\x04"sv, false,
     "this is a zip archive, as PyTorch checkpoints and .npz files are: export it as safetensors"},
    {"\x80\x02"sv, false, pickle},
    {"\x80\x03"sv, false, pickle},
    {"\x80\x04"sv, false, pickle},
    {"\x80\x05"sv, false, pickle},
    {"\x93NUMPY"sv, false, "this is a NumPy .npy array: export it as safetensors"},
    {"\x89HDF"sv, false, "this is an HDF5 file: export it as safetensors"},
    {"\x1f\x8b"sv, false, "this is gzip-compressed: unpack it first"},
    {"{"sv, true, "this is JSON text, not a container of tensors"},
}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string_view foreign_hint(std::span<const std::byte> head) noexcept {
  const std::string_view raw(reinterpret_cast<const char*>(head.data()), head.size());
  const std::size_t blanks = std::min(raw.find_first_not_of(" \t\r\n"), raw.size());
  for (const Row& row : rows) {
    const std::string_view start =
        (row.text ? raw.substr(blanks) : raw).substr(0, row.magic.size());
    const auto same = [&](char a, char b) { return (row.text ? lower(a) : a) == b; };
    if (std::equal(start.begin(), start.end(), row.magic.begin(), row.magic.end(), same)) {
      return row.hint;
    }
  }
  return {};
}

}  // namespace attn::runtime
