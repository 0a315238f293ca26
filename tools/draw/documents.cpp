#include "tools/draw/documents.hpp"

#include "tools/draw/colour.hpp"
#include "tools/draw/maps.hpp"
#include "tools/draw/scale.hpp"
#include "tools/draw/template.hpp"
#include "tools/draw/text.hpp"
#include "tools/draw/ticks.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <string_view>

extern "C" {
extern const char attn_draw_page[];
extern const char attn_draw_page_end[];
}

namespace attn::tools {
namespace {

// float as the number type: each weight is written with the digits that a float has, no more
using Json = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool,
                                  std::int64_t, std::uint64_t, float>;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json json_of(const std::string& title, const std::vector<std::string>& rows,
             const std::vector<std::string>& columns,
             const std::vector<AttentionPicture::Map>& maps) {
  Json out = {{"title", title}, {"rows", rows}, {"columns", columns}, {"maps", Json::array()}};
  for (const auto& map : maps) {
    Json weights = Json::array();
    for (std::size_t r = 0; r < rows.size(); ++r) {
      Json row = Json::array();
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const float weight = map.weights[r * columns.size() + c];
        row.push_back(std::isfinite(weight) ? Json(weight) : Json());
      }
      weights.push_back(std::move(row));
    }
    out["maps"].push_back({{"title", map.title}, {"weights", std::move(weights)}});
  }
  return out;
}

std::string cell_text(float weight) { return std::isfinite(weight) ? number_text(weight, 4) : "–"; }

/// The numbers for readers without a script or without sight.
std::string tables(const AttentionPicture& picture) {
  const std::size_t cells = picture.rows.size() * picture.columns.size() * picture.maps.size();
  if (cells > 20000) {  // a table nobody reads, that makes the page slow
    return "<p>" + std::to_string(cells) +
           " weights are too many for tables: draw into a .json file instead.</p>";
  }
  const auto name = [](const std::vector<std::string>& labels, std::size_t i) {
    return labels[i].empty() ? std::to_string(i) : escaped(visible(labels[i]));
  };
  std::string out;
  for (const auto& map : picture.maps) {
    out += "<div class=\"scroll\"><table><caption>" +
           escaped(map.title.empty() ? "attention weights" : visible(map.title)) +
           "</caption><thead><tr><th scope=\"col\">query \\ key</th>";
    for (std::size_t c = 0; c < picture.columns.size(); ++c) {
      out += "<th scope=\"col\">" + name(picture.columns, c) + "</th>";
    }
    out += "</tr></thead><tbody>\n";
    for (std::size_t r = 0; r < picture.rows.size(); ++r) {
      out += "<tr><th scope=\"row\">" + name(picture.rows, r) + "</th>";
      for (std::size_t c = 0; c < picture.columns.size(); ++c) {
        out += "<td>" + cell_text(map.weights[r * picture.columns.size() + c]) + "</td>";
      }
      out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
  }
  return out;
}

/// The data for the page's script. No "<" is left in it, so that no token can end the element.
std::string page_data(const AttentionPicture& picture) {
  AttentionPicture shown = picture;
  shown.title = visible(picture.title);
  for (auto* labels : {&shown.rows, &shown.columns}) {
    for (std::string& label : *labels) label = visible(label);
  }
  for (auto& map : shown.maps) map.title = visible(map.title);
  Json json = json_of(shown.title, shown.rows, shown.columns, shown.maps);
  for (int i = 0; i <= 32; ++i) json["ramp"].push_back(hex(colormap(i / 32.0)));
  const ColourScale scale = scale_of(maps_of(picture));
  json["top"] = static_cast<float>(scale.top);
  json["gamma"] = static_cast<float>(scale.gamma);
  std::string out;
  for (const char c : dumped(json)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string json_document(const AttentionPicture& picture) {
  check_picture(picture);
  return dumped(json_of(picture.title, picture.rows, picture.columns, picture.maps)) + "\n";
}

std::string html_document(const AttentionPicture& picture) {
  check_picture(picture);
  const std::string title = picture.title.empty() ? "Attention weights" : visible(picture.title);
  return filled(
      {attn_draw_page, static_cast<std::size_t>(attn_draw_page_end - attn_draw_page)},
      {{"title", escaped(title)}, {"data", page_data(picture)}, {"tables", tables(picture)}});
}

}  // namespace attn::tools
